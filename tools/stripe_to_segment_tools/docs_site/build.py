"""`make docs`: the pages of this project as a site, from the files that a checkout reads: README, docs/, CONTRIBUTING.

`pages` gives the Markdown that MkDocs builds from: links between files become links between pages, what is no page is
linked in the repository where one is named, and the reference is written from the code. Beside each page the site has
the page's Markdown, and llms.txt lists them (https://llmstxt.org).
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer
import yaml
from typer.main import get_command

from stripe_to_segment.reasons import Reason
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.help import loaded
from stripe_to_segment_tools.terminal.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PAGES", "SECTIONS", "address", "configuration", "llms_txt", "main", "pages", "twin"]

MKDOCS = PROJECT / ".tools" / "docs" / "bin" / "mkdocs"
CONFIGURATION = PROJECT / ".local" / "mkdocs.yml"
SOURCE, SITE = PROJECT / ".local" / "docs", PROJECT / ".local" / "site"

# The navigation, in this order: the title, the page, and the file that it is made of, if any. A new page is a row here;
# mkdocs.yml has no list of its own.
SECTIONS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "": (("Overview", "index.md", "README.md"),),
    "Use": (
        ("Start", "start.md", "docs/start.md"),
        ("Events", "events.md", "docs/events.md"),
        ("Identity", "identity.md", "docs/identity.md"),
        ("Numbers", "numbers.md", "docs/numbers.md"),
        ("For analysts", "analysts.md", "docs/analysts.md"),
        ("Import", "import.md", "docs/import.md"),
        ("Audit", "audit.md", "docs/audit.md"),
        ("Warehouse", "warehouse.md", "docs/warehouse.md"),
        ("What destinations read", "context.md", "docs/context.md"),
        ("Destinations", "destinations.md", "docs/destinations.md"),
        ("Other endpoints", "endpoints.md", "docs/endpoints.md"),
        ("Your own code", "your-code.md", "docs/your-code.md"),
    ),
    "Run": (
        ("Deploy", "deploy.md", "docs/deploy.md"),
        ("Recipes", "recipes.md", "docs/recipes.md"),
        ("Operations", "operations.md", "docs/operations.md"),
        ("Cost", "cost.md", "docs/cost.md"),
        ("Security", "security.md", "docs/security.md"),
        ("Permissions", "permissions.md", "docs/permissions.md"),
    ),
    "Reference": (
        ("Tracking plan", "tracking-plan.md", "docs/tracking-plan.md"),
        ("Settings", "settings.md", "docs/settings.md"),
        ("Commands", "commands.md", ""),
        ("Reasons", "reasons.md", ""),
    ),
    "Project": (
        ("Architecture", "architecture.md", "docs/architecture.md"),
        ("Design decisions", "design-decisions.md", "docs/design-decisions.md"),
        ("Contributing", "contributing.md", "CONTRIBUTING.md"),
        ("Versions", "versions.md", "docs/versions.md"),
        ("Changelog", "changelog.md", "CHANGELOG.md"),
        ("Benchmarks", "benchmarks.md", "benchmarks/README.md"),
        ("Reporting a vulnerability", "reporting.md", "SECURITY.md"),
    ),
}
PAGES = {page: source for section in SECTIONS.values() for _, page, source in section}
_PAGE_OF = {source: page for page, source in PAGES.items() if source}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def pages(repository: str = "") -> dict[str, str]:
    """Each page's Markdown, by its place in the site.

    `repository` is the address for links to other files, or empty.
    """
    written = {"commands.md": _commands(), "reasons.md": _reasons(repository)}
    files = {
        page: _linked((PROJECT / source).read_text("utf-8"), source, page, repository)
        for source, page in _PAGE_OF.items()
    }
    return files | written


def llms_txt(texts: Mapping[str, str]) -> str:
    """The list of all pages for a program that reads, with each page's first sentence."""
    lines = [
        "# stripe-to-segment",
        "",
        "> Turns verified Stripe webhooks into Segment track, identify and group calls.",
    ]
    for section, listed in SECTIONS.items():
        lines += ["", *([f"## {section}", ""] if section else [])]
        lines += [f"- [{title}]({page}): {_first_sentence(texts[page])}" for title, page, _ in listed]
    return "\n".join([*lines, ""])


def twin(text: str) -> str:
    """The Markdown beside a page, with a link to all pages for readers who come from elsewhere."""
    return f"{text.rstrip()}\n\n---\n\n[All pages](llms.txt)\n"


def configuration() -> str:
    """MkDocs's configuration: mkdocs.yml with the navigation."""
    listed = [{title: page} for title, page, _ in SECTIONS[""]]
    sections = [{section: [{title: page} for title, page, _ in rows]} for section, rows in SECTIONS.items() if section]
    own = {"INHERIT": "../mkdocs.yml", "docs_dir": SOURCE.name, "site_dir": SITE.name, "nav": [*listed, *sections]}
    return yaml.safe_dump(own, sort_keys=False)


def main() -> int:
    """Write the pages and have MkDocs build them; return the exit status."""
    repository = os.environ.get("REPOSITORY_URL", "")
    texts = pages(repository)
    shutil.rmtree(SOURCE, ignore_errors=True)
    for page, text in texts.items():
        (SOURCE / page).parent.mkdir(parents=True, exist_ok=True)
        (SOURCE / page).write_text(text, "utf-8")
    for name in ("page.png", "site.css"):
        shutil.copyfile(PROJECT / "docs" / name, SOURCE / name)
    CONFIGURATION.write_text(configuration(), "utf-8")
    if sys.argv[1:] == ["serve"]:
        # Ctrl-C reaches MkDocs too, which stops by itself.
        with suppress(KeyboardInterrupt):
            command = [str(MKDOCS), "serve", "--strict", "-f", str(CONFIGURATION), "--dev-addr", address()]
            return subprocess.run(command, check=False).returncode
        return 0
    # Not quietly: MkDocs counts only the warnings that it prints, so a quiet run would always pass.
    built = subprocess.run([MKDOCS, "build", "--strict", "-f", CONFIGURATION], check=False)
    if built.returncode:
        return built.returncode
    for page, text in texts.items():
        (SITE / page).parent.mkdir(parents=True, exist_ok=True)
        (SITE / page).write_text(twin(text), "utf-8")
    (SITE / "llms.txt").write_text(llms_txt(texts), "utf-8")
    say(f"wrote {len(texts)} pages to {SITE / 'index.html'}")
    return 0


def address(port: int = 8000) -> str:
    """An address on this machine that nobody listens at, with this port if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _linked(text: str, source: str, page: str, repository: str) -> str:
    """The text of a file with its links as they are in the site; code stays."""

    def renewed(found: re.Match[str]) -> str:
        picture, label, target = found.groups()
        file, hash_, heading = target.partition("#")
        if "://" in target or target.startswith("mailto:") or (not file and _PAGE_OF.get(source) == page):
            return found[0]
        path = source if not file else posixpath.normpath(posixpath.join(posixpath.dirname(source), file))
        if path in _PAGE_OF or picture:
            to = _PAGE_OF.get(path, posixpath.basename(path))
            return f"{picture}[{label}]({posixpath.relpath(to, posixpath.dirname(page) or '.')}{hash_}{heading})"
        return f"[{label}]({repository.rstrip('/')}/blob/main/{path})" if repository else label

    # A link's own text may be code.
    return "".join(part if part.startswith("```") else _LINK.sub(renewed, part) for part in _CODE.split(text))


def _commands() -> str:
    sections = ["# Commands\n\nEach command of `stripe-to-segment`; `--help` says the same.\n"]
    sections += [_command(names, command) for names, command in _every_command(get_command(app))]
    return "\n".join(sections)


def _every_command(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    for name, each in command.commands.items():
        found = loaded(each)
        if hasattr(found, "commands"):
            yield from _every_command(found, *names, name)
        else:
            yield " ".join([*names, name]), found


def _command(names: str, command: Any) -> str:
    about, _, examples = command.help.partition("Examples\n--------\n")
    context = typer.Context(command, info_name=f"stripe-to-segment {names}")
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [_parameter(each, context) for each in command.params if getattr(each, "help", None)]
    options = "\n".join(["| Option or argument | |", "|---|---|", *rows, ""]) if rows else ""
    code = "\n".join(line.strip() for line in examples.strip().splitlines() if line.strip())
    return (
        f"## {names}\n\n```\nstripe-to-segment {names} {usage}\n```\n\n{about.strip()}\n\n{options}\n"
        f"```bash\n{code}\n```\n"
    )


def _parameter(parameter: Any, context: typer.Context) -> str:
    """A row with what `--help` says of an option or an argument, its values and its default included."""
    name, told = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        name = parameter.display_name_raw
    # MkDocs and GitHub differ over a bar in code in a table.
    return f"| `{name.replace('|', '/')}` | {_cell(told.replace('  [', ' ['))} |"


def _reasons(repository: str) -> str:
    guide = (PROJECT / "docs" / "operations.md").read_text("utf-8").split("\n## Reasons\n")[1].split("\n## ")[0]
    # A reason may stand in several sections: `too_large` of a request, and of a call in a dead letter.
    rows: dict[str, list[str]] = {}
    for section in re.split(r"^### ", "Dead letters\n" + guide, flags=re.MULTILINE):
        place, heads = section[0].lower() + section[1:].partition("\n")[0], list[str]()
        for line in re.findall(r"^\| (.+) \|$", section, re.MULTILINE):
            cells = line.split(" | ")
            if cells[0] == "Reason":
                heads = cells
            row = dict(zip(heads, cells, strict=False))
            where = f"answer {row['Answer']} of `receive`" if "Answer" in row else place
            told = [where, row.get("What happened", ""), row.get("What to do", "")]
            for code in re.findall(r"`([^`]+)`", row.get("Reason", "")):
                rows.setdefault(code, []).append(" | ".join(told))
    table = "".join(f"| `{each}` | {row} |\n" for each in Reason for row in rows.get(each, []))
    text = (
        "# Reasons\n\nEvery reason that a log line, an answer to Stripe or a dead letter may give. An endpoint's other "
        "statuses are `http_<status>`. [Operations](operations.md#reasons) has more about some of them.\n\n"
        f"| Reason | Where | What happened | What to do |\n|---|---|---|---|\n{table}"
    )
    return _linked(text, "docs/operations.md", "reasons.md", repository)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _first_sentence(text: str) -> str:
    paragraphs = [each for each in _CODE.sub("", text).split("\n\n") if re.match(r"[A-Za-z`*]", each)]
    said = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraphs[0].replace("\n", " ")) if paragraphs else ""
    return re.split(r"(?<=\.)\s", said)[0]


if __name__ == "__main__":
    sys.exit(main())
