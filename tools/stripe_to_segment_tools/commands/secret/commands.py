"""`stripe-to-segment secret`: set, remove, edit, move and check the values in both secrets without showing them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from stripe_to_segment.secrets import SIGNING_FIELDS, texts
from stripe_to_segment_tools.access.options import AsJson, StackChoice, on_a_stack
from stripe_to_segment_tools.commands.register.signing_secrets import ENDPOINTS
from stripe_to_segment_tools.commands.secret.asking import from_standard_input, from_terminal, from_variable
from stripe_to_segment_tools.commands.secret.changes import SecretRefusedError, move, put, remove
from stripe_to_segment_tools.commands.secret.document import SecretChangedError
from stripe_to_segment_tools.commands.secret.editing import NAMES, SecretEditor, edited, private_file, problems_in
from stripe_to_segment_tools.commands.secret.shapes import FIELDS, UNASSIGNED, Value, fingerprint, flaw_of, values_in
from stripe_to_segment_tools.local_stack import stop_on_signals
from stripe_to_segment_tools.terminal.help import Commands
from stripe_to_segment_tools.terminal.output import make_console, say, say_json, stop, visible

if TYPE_CHECKING:
    from pathlib import Path

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["app"]

app = Commands(
    no_args_is_help=True,
    help="Manage the stack's two secrets: Stripe's signing secrets, and the keys. No value is ever shown.",
)

FINGERPRINT = 8
IN_USE = "the functions use it within five minutes"


@app.command("show-shape")
@on_a_stack
def show_shape_command(stack: StackChoice, *, as_json: AsJson = False) -> None:
    """Show for each field of both secrets whether it is filled, and whether its value has the right form.

    Each value is named by its fingerprint, the first 8 digits of its SHA-256. `doctor` makes the same checks.

    Exit status: 0; 1 if a value has a wrong form, or is in the wrong secret; 2 without a stack.

    Examples
    --------
      stripe-to-segment secret show-shape --stack stripe-to-segment

      stripe-to-segment secret show-shape --local --json | jq '.values[] | select(.flaw != "")'
    """
    found = stack.find()
    settings = found.settings()
    held = {name: found.secret(name).read().content for name in NAMES}
    owners = _owners(held["SigningSecret"])
    rows: list[dict[str, Any]] = []
    for name, content in held.items():
        fields = [field for field in FIELDS if FIELDS[field] == name or texts(content.get(field))]
        for value in values_in(content, fields, settings, strict=not found.local):
            flaw = value.flaw if FIELDS[value.field] == name else f"in the wrong secret: {_move(found)} moves it"
            rows.append(_row(name, value, flaw, owners))
    empty = [field for field in FIELDS if not any(row["field"] == field for row in rows)]
    flawed = any(row["flaw"] for row in rows)
    if as_json:
        say_json({"ok": not flawed, "values": rows, "empty": empty})
    else:
        _show(rows, empty)
    raise typer.Exit(1 if flawed else 0)


@app.command("set")
@on_a_stack
def set_command(
    stack: StackChoice,
    field: Annotated[str, typer.Argument(metavar="FIELD", help=", ".join(FIELDS))],
    *,
    from_env: Annotated[str, typer.Option(metavar="NAME", help="Take the value from this environment variable.")] = "",
    removed: Annotated[
        str, typer.Option("--remove", metavar="FINGERPRINT", help="Remove the value with this fingerprint instead.")
    ] = "",
) -> None:
    """Store a value in a field. The command asks for it without showing it, or reads standard input or a variable.

    A signing secret is added to those of its mode, before the others; a key replaces the old one. A value of a wrong
    form is refused. The value is never an argument, which the shell's history and other users of the machine would see.

    Exit status: 0; 1 if the value was refused; 2 if it could not start.

    Examples
    --------
      stripe-to-segment secret set segment_write_key --stack stripe-to-segment

      pass show segment/production | stripe-to-segment secret set segment_write_key --stack stripe-to-segment

      stripe-to-segment secret set stripe_test_signing_secrets --remove 1a2b3c4d --stack stripe-to-segment
    """
    if field not in FIELDS:
        stop(f"{field} is no field; the fields are {', '.join(FIELDS)}")
    if field == UNASSIGNED and not removed:
        stop(f"say of which mode it is: {SIGNING_FIELDS['live']} or {SIGNING_FIELDS['test']}")
    found = stack.find()
    if removed:
        try:
            remove(found, field, removed)
        except (SecretRefusedError, SecretChangedError) as error:
            stop(str(error), 1)
        say(f"{field}: {removed} is removed; {IN_USE}")
        return
    settings = found.settings()
    value = from_variable(from_env) if from_env else from_terminal(field) or from_standard_input()
    if flaw := flaw_of(field, value, settings, strict=not found.local):
        stop(f"not written: {flaw}", 1)
    try:
        put(found, field, value)
    except (SecretRefusedError, SecretChangedError) as error:
        stop(str(error), 1)
    say(f"{field}: {fingerprint(value)} is stored; {IN_USE}")


@app.command("edit")
@on_a_stack
def edit_command(stack: StackChoice) -> None:
    """Open both secrets in your editor (VISUAL, EDITOR), and write your changes.

    Only you can read the file. It is in a folder of its own, in memory if XDG_RUNTIME_DIR is set, and is overwritten
    and removed however this ends. Keep the editor from leaving copies elsewhere (vim -n, no backup folder). Broken JSON
    and values of a wrong form are not written; on a terminal you may go on editing. If another user wrote the secret
    meanwhile, it is not overwritten.

    Exit status: 0, also without changes; 1 if your changes were not written; 2 if it could not start.

    Examples
    --------
      EDITOR='vim -n' stripe-to-segment secret edit --stack stripe-to-segment
    """
    found = stack.find()
    settings = found.settings()
    editor = SecretEditor(found)
    if editor.keys_left:
        stop(f"{', '.join(editor.keys_left)} still in the SigningSecret: first {_move(found)}")
    with stop_on_signals(), private_file(editor.document) as path:
        wanted = _wanted(path, settings, strict=not found.local)
        try:
            changed = editor.save(wanted)
        except SecretChangedError as error:
            stop(str(error), 1)
    if not changed:
        say("nothing was changed")
    for field in changed:
        say(f"changed: {field}")
    if changed:
        say(IN_USE)


@app.command("move")
@on_a_stack
def move_command(stack: StackChoice) -> None:
    """Move the keys of an earlier release out of the SigningSecret, which the function on the internet reads.

    deliver and reconcile find the keys at any moment: the command first writes them into the KeysSecret, then removes
    them from the SigningSecret and from its previous version. You can run it again after an interruption. A release
    from before there were two secrets does not find the keys any more: to go back to one, put the keys back first.

    Exit status: 0; 2 if it could not be done.

    Examples
    --------
      stripe-to-segment secret move --stack stripe-to-segment
    """
    found = stack.find()
    done = False
    for said in move(found):
        done = True
        say(said)
    if not done:
        say("nothing to do: there is no key in the SigningSecret")
        return
    say(
        "note: older versions of the SigningSecret may hold the keys until Secrets Manager deletes them. The function "
        "on the internet may not read those; to be sure, roll the keys in Segment and Stripe and set the new ones",
        err=True,
    )


def _wanted(path: Path, settings: Settings, *, strict: bool) -> dict[str, Any]:
    """The document after the user's edits, when it is valid. Ends the command if it stays invalid."""
    while True:
        document = edited(path)
        problems = ["it is no JSON"] if document is None else problems_in(document, settings, strict=strict)
        if not problems:
            wanted: dict[str, Any] = document
            return wanted
        for problem in problems:
            say(f"error: {problem}", err=True)
        if not sys.stdin.isatty() or not typer.confirm("edit again?", default=True, err=True):
            stop("nothing was written", 1)


def _owners(signing: dict[str, Any]) -> dict[str, str]:
    """The endpoint of each signing secret, by fingerprint, if `register` has noted it."""
    notes = signing.get(ENDPOINTS)
    return {
        str(note.get("secret", ""))[:FINGERPRINT]: endpoint
        for endpoint, note in (notes if isinstance(notes, dict) else {}).items()
        if isinstance(note, dict)
    }


def _row(name: str, value: Value, flaw: str, owners: dict[str, str]) -> dict[str, Any]:
    endpoint = owners.get(value.fingerprint) if value.field in SIGNING_FIELDS.values() else None
    return {
        "secret": name,
        "field": value.field,
        "fingerprint": value.fingerprint,
        "flaw": flaw,
        "endpoint": endpoint,
    }


def _show(rows: list[dict[str, Any]], empty: list[str]) -> None:
    width = max(map(len, FIELDS))
    console = make_console()
    for row in rows:
        mark = ("✗", "red") if row["flaw"] else ("✓", "green")
        said = row["flaw"] or f"has the shape{f', of {row["endpoint"]}' if row['endpoint'] else ''}"
        line = f" {row['secret']:<13}  {row['field']:<{width}}  {row['fingerprint']}  {said}"
        console.print(Text.assemble(mark, visible(line)), soft_wrap=True)
    for field in empty:
        if field != UNASSIGNED:
            say(f"  {FIELDS[field]:<13}  {field:<{width}}  empty")


def _move(stack: Stack) -> str:
    return " ".join(["stripe-to-segment", "secret", "move", *stack.options])
