"""The site of docs/: `make docs` builds it strictly; what MkDocs does not see is held here."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
import typer.main

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.reasons import Reason
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.deploy.parameters import read_parameters
from stripe_to_segment_tools.docs_site.build import PAGES, SECTIONS, address, configuration, llms_txt, pages, twin
from stripe_to_segment_tools.terminal.help import loaded

PROJECT = Path(__file__).parents[2]
TEXTS = pages()
LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def links(text: str) -> list[str]:
    return LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def test_every_guide_is_a_page() -> None:
    guides = {f"docs/{path.name}" for path in (PROJECT / "docs").glob("*.md")}
    assert guides | {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"} <= set(PAGES.values())
    assert TEXTS.keys() == PAGES.keys()


def test_the_navigation_has_every_page_once_and_none_of_its_own() -> None:
    assert re.findall(r": (\S+\.md)$", configuration(), re.MULTILINE) == list(PAGES)
    assert "nav:" not in (PROJECT / "mkdocs.yml").read_text("utf-8")


def test_whoever_comes_to_the_markdown_of_a_page_finds_all_others() -> None:
    assert not [page for page in PAGES if "/" in page], "the link is to a file beside the page"
    assert twin("# Page\n") == "# Page\n\n---\n\n[All pages](llms.txt)\n"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_pages_alone(page: str) -> None:
    """A file of the repository is no page: without the repository's address its name stands there without a link."""
    for link in links(TEXTS[page]):
        file = link.partition("#")[0]
        if file and "://" not in link:
            target = (PROJECT / "site" / page).parent / file
            assert target.resolve().relative_to(PROJECT / "site").as_posix() in PAGES, link


def test_a_file_that_is_no_page_is_linked_in_the_repository_where_one_is_named() -> None:
    texts = pages("https://example.com/shop/stripe-to-segment/")
    assert "(https://example.com/shop/stripe-to-segment/blob/main/docs/deploy-role.yaml)" in texts["deploy.md"]
    assert "blob/main" not in TEXTS["deploy.md"]


def test_what_is_quoted_from_a_guide_links_to_the_guide() -> None:
    """Such a link stood on the page that quoted it, where there is no such heading, and MkDocs ran quietly."""
    assert "(operations.md#signatures-refused)" in TEXTS["reasons.md"]
    assert "](#" not in TEXTS["reasons.md"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_needs_no_script_from_elsewhere(page: str) -> None:
    """For a diagram in Mermaid's language the theme loads a script from another host; offline its text stood there."""
    assert "```mermaid" not in TEXTS[page]


def test_code_keeps_what_looks_like_a_link() -> None:
    blocks = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert blocks.findall(TEXTS["index.md"]) == blocks.findall((PROJECT / "README.md").read_text("utf-8"))


def test_the_reference_has_every_command_with_its_options() -> None:
    group: Any = typer.main.get_command(app)
    told = TEXTS["commands.md"]
    for name, each in group.commands.items():
        found = loaded(each)
        for full, command in {
            f"{name} {sub}": under for sub, under in getattr(found, "commands", {}).items()
        }.items() or [(name, found)]:
            section = told.split(f"\n## {full}\n")[1].split("\n## ")[0]
            options = {option for each in command.params for option in each.opts if option.startswith("--")}
            assert {option for option in options if f"{option}" not in section} == set(), full
            assert f"stripe-to-segment {full}" in section


def test_the_reference_has_the_values_and_defaults_that_the_help_has() -> None:
    """`--level` stood there without its four values."""
    told = "What to send; each level includes those before it. [default: state]"
    assert f"| `--level <state/traits/opening/history>` | {told} |" in TEXTS["commands.md"]
    assert "| `PATH` | Files or folders of events" in TEXTS["commands.md"], "as the usage above it names it"


def test_the_reference_says_of_every_reason_what_it_means() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \| (.*) \|$", TEXTS["reasons.md"], re.MULTILINE)
    assert list(dict.fromkeys(code for code, *_ in rows)) == [str(each) for each in Reason]


def test_a_reason_that_means_two_things_has_a_row_for_each() -> None:
    """Of `too_large` only the dead letter's meaning was there, and none of the request that gets a 413."""
    found = re.findall(r"^\| `too_large` \| (.+?) \| (.+?) \|", TEXTS["reasons.md"], re.MULTILINE)
    assert found == [
        ("dead letters", "a call is over 32,000 bytes"),
        ("answer 413 of `receive`", "a Stripe event over 1 MiB, which SQS does not take"),
    ]


def test_the_reference_has_every_parameter_and_every_event() -> None:
    parameters = read_parameters(PROJECT / "template.yaml")
    assert len(parameters) > 20
    assert [name for name in parameters if f"| `{name}` |" not in TEXTS["settings.md"]] == []
    assert [kind for kind in CATALOG if f"| `{kind}` |" not in TEXTS["events.md"]] == []


def test_llms_txt_lists_the_markdown_of_every_page_with_a_sentence() -> None:
    listed = re.findall(r"^- \[(.+)\]\((.+)\): (.+)$", llms_txt(TEXTS), re.MULTILINE)
    assert [(title, page) for title, page, _ in listed] == [
        (title, page) for section in SECTIONS.values() for title, page, _ in section
    ]
    assert all(said.endswith(".") for _, _, said in listed), "a whole sentence"


def test_a_port_that_is_in_use_does_not_keep_the_site_from_being_served() -> None:
    """`make docs-serve` ended in a traceback where something listened at port 8000."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        used = other.getsockname()[1]
        host, port = address(used).split(":")
        assert (host, port.isdecimal(), port != str(used)) == ("127.0.0.1", True, True)
    assert address(used) == f"127.0.0.1:{used}"
