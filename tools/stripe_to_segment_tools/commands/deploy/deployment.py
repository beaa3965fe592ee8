"""One deployment, from the questions to the next steps."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.commands.deploy.answers import (
    Answers,
    Sources,
    parameters_from,
    read_answers,
    write_answers,
)
from stripe_to_segment_tools.commands.deploy.errors import DeployError
from stripe_to_segment_tools.commands.deploy.parameters import (
    SCHEDULED,
    as_sam_reads,
    check,
    check_together,
    read_parameters,
)
from stripe_to_segment_tools.commands.deploy.stack import (
    SAM_STACK,
    find,
    first_failure,
    make_way,
    make_way_for_sam,
    name_flaw,
)
from stripe_to_segment_tools.terminal.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stripe_to_segment_tools.commands.deploy.parameters import Parameter
    from stripe_to_segment_tools.commands.deploy.stack import Found

__all__ = ["Project", "deploy"]

STACK_NAME = "stripe-to-segment"
NEXT = """\
Next, as docs/start.md says under Deploy:
  export STRIPE_TO_SEGMENT_STACK={name} AWS_DEFAULT_REGION={region}{keys}
  .venv/bin/stripe-to-segment register    # tells Stripe the address, and which events to send
  .venv/bin/stripe-to-segment doctor      # verifies the deployment"""
KEYS = """
  .venv/bin/stripe-to-segment secret set segment_write_key         # asks for it
  .venv/bin/stripe-to-segment secret set segment_test_write_key    # of another source, for test events
  .venv/bin/stripe-to-segment prime       # makes the columns of a warehouse, before the first payment"""


@dataclass(frozen=True, slots=True)
class Project:
    """The checkout and the programs around it.

    Attributes
    ----------
    folder
        The checkout.
    client
        Returns the CloudFormation client of a region.
    run
        Runs a command in the terminal and returns its exit status.
    region
        The region in the AWS configuration; empty if it names none.
    """

    folder: Path
    client: Callable[[str], Any] = field(repr=False)
    run: Callable[[Sequence[str], Path], int] = field(repr=False)
    region: str = ""

    @property
    def answers(self) -> Path:
        """The folder of the saved answers."""
        return self.folder / ".deploy"


def deploy(project: Project, sources: Sources) -> None:
    """Ask, deploy, and print the next steps. Raises DeployError."""
    _refuse_former_settings(project.folder / "samconfig.toml")
    name = sources.answer("STACK", "Name of the stack", "", _usual_name(project.answers), name_flaw)
    kept = project.answers / f"{name}.toml"
    saved = read_answers(kept) or Answers(name, "", {})
    region = sources.answer("REGION", "AWS region", saved.region, project.region)
    client = project.client(region)
    parameters = read_parameters(project.folder / "template.yaml")
    set_here = parameters_from(sources, saved.parameters, lambda: _set_in(find(client, name)), parameters)
    check(set_here, parameters, region)
    found = find(client, name)
    check_together(_set_in(found if found is not None and found.stands else None) | set_here, parameters)
    answers = Answers(name, region, set_here)
    if sources.ask is not None and answers != saved:
        # Saved before the deployment, so that the same command can continue after a failure.
        write_answers(kept, answers)
        say(f"kept in {kept.relative_to(project.folder)}")
    if done := make_way(client, name, region, found):
        say(done)
        found = None
    if done := make_way_for_sam(client):
        say(done)
    stands = found is not None and found.stands
    if stands:
        # The table holds data. Not in a first deployment, which could then not be rolled back.
        set_here = {"ProtectState": "true", **set_here}
    _say_what_else_is_set(found if stands else None, set_here, parameters)
    _run_sam(project, replace(answers, parameters=set_here), client, confirm=sources.ask is not None)
    _say_what_is_there(find(client, name), answers, first=not stands)


def _set_in(found: Found | None) -> dict[str, str]:
    return dict(found.parameters) if found else {}


def _usual_name(folder: Path) -> str:
    """The only stack that was deployed from this checkout, or the name in the guide."""
    names = [path.stem for path in folder.glob("*.toml")]
    return names[0] if len(names) == 1 else STACK_NAME


def _refuse_former_settings(samconfig: Path) -> None:
    """Refuse a samconfig.toml with settings: earlier releases read them there, and this one would ignore them."""
    lines = samconfig.read_text("utf-8").splitlines() if samconfig.is_file() else []
    if any(line.startswith("parameter_overrides") for line in lines):
        raise DeployError(
            "samconfig.toml has parameter_overrides, which `make deploy` does not read: "
            "move them to .deploy/<stack>.toml, under [parameters]"
        )


def _say_what_else_is_set(found: Found | None, given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> None:
    """Print the parameters that keep their value in the stack because they are named nowhere."""
    for name, value in found.parameters.items() if found else ():
        default = parameters[name].default if name in parameters else value
        if name not in given and value != default:
            say(f"keeps its value in the stack: {name} = {value!r} (the template's default: {default!r})")


def _run_sam(project: Project, answers: Answers, client: Any, *, confirm: bool) -> None:
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        # A file, because sam's argument syntax cannot express every value.
        overrides = Path(folder) / "parameters.toml"
        overrides.write_text(as_sam_reads(answers.parameters), "utf-8")
        command = [
            *(str(project.folder / ".tools/sam/bin/sam"), "deploy"),
            *("--template-file", ".aws-sam/build/template.yaml"),
            *("--stack-name", answers.stack, "--region", answers.region),
            *("--resolve-s3", "--s3-prefix", answers.stack, "--capabilities", "CAPABILITY_IAM"),
            "--no-fail-on-empty-changeset",
            *(["--confirm-changeset"] if confirm else ["--no-confirm-changeset", "--no-progressbar"]),
            *("--parameter-overrides", f"file://{overrides}"),
        ]
        for name, value in answers.parameters.items():
            say(f"{name} = {value!r}")
        say(shlex.join(command))
        if project.run(command, project.folder) == 0:
            return
    stacks = (find(client, each) for each in (answers.stack, SAM_STACK))
    failures = (first_failure(client, found.id, began) for found in stacks if found)
    why = next(filter(None, failures), "sam says why above")
    raise DeployError(f"{answers.stack} was not deployed ({why}); remove the cause, and repeat the command")


def _say_what_is_there(found: Found | None, answers: Answers, *, first: bool) -> None:
    if found is None or not found.stands:
        say("nothing was deployed")
        return
    say("", *(f"{name:<22}{value}" for name, value in sorted(found.outputs.items())), "")
    if first and (address := answers.parameters.get("AlarmEmail")):
        say(f"AWS has written to {address}: confirm the subscription there, or no alarm arrives.", "")
    for name in SCHEDULED:
        if answers.parameters.get(f"{name}Schedule"):
            say(f"Until the first run of {name}Schedule the alarm {name.lower()}-stopped may ring.", "")
    say(*NEXT.format(name=answers.stack, region=answers.region, keys=KEYS if first else "").splitlines())
