"""`stripe-to-segment sample`: sample events, requests and batches on standard output, fresh and signed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from stripe_to_segment_tools.commands.secret.asking import NoSecret, SecretFromEnv, given_secret
from stripe_to_segment_tools.local_stack.stack_file import read_stack_file
from stripe_to_segment_tools.samples.files import api_gateway_request, body_of, freshen, sample, samples, sqs_batch
from stripe_to_segment_tools.samples.inputs import STDIN, read_events
from stripe_to_segment_tools.samples.signing import SAMPLE_SECRET
from stripe_to_segment_tools.terminal.help import Commands
from stripe_to_segment_tools.terminal.output import say, say_json

__all__ = ["app"]

QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:stripe-to-segment-EventsQueue"

app = Commands(
    no_args_is_help=True,
    help="Print sample events, or the requests and batches that carry them, for `sam local invoke -e`.",
)

Names = Annotated[list[str] | None, typer.Argument(help="Samples by name, or files of your own, or -.", metavar="NAME")]
Everything = Annotated[bool, typer.Option("--all", help="Every sample, in the order in which they happened.")]
Fresh = Annotated[
    bool, typer.Option("--fresh/--as-is", help="New ids and current times, or exactly what the file says.")
]


@app.command("list")
def list_command(as_json: Annotated[bool, typer.Option("--json", help="One JSON line per sample.")] = False) -> None:
    """List the sample events in the order in which they happened.

    Exit status: 0.

    Examples
    --------
      stripe-to-segment sample list

      stripe-to-segment sample list --json | jq -r .path
    """
    for each in samples():
        if as_json:
            say_json({"name": each.name, "type": each.type, "path": str(each.path)})
        else:
            say(each.name)


@app.command()
def event(names: Names = None, *, everything: Everything = False, fresh: Fresh = True) -> None:
    """Print events: one as Stripe posts it, several as JSON lines.

    Exit status: 0; 2 if no name was given, or a name is neither a sample nor a file.

    Examples
    --------
      stripe-to-segment sample event invoice.paid.manual

      stripe-to-segment sample event --all | stripe-to-segment send -
    """
    events = _chosen(names, everything=everything, fresh=fresh)
    for each in events:
        say_json(each, indent=2 if len(events) == 1 else None)


@app.command()
def request(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A sample by name, or a file of your own, or -.")],
    *,
    secret_from_env: SecretFromEnv = "",
    _: NoSecret = "",
    base64: Annotated[bool, typer.Option("--base64", help="Body encoded, as API Gateway may deliver it.")] = False,
    fresh: Fresh = True,
) -> None:
    """Print the API Gateway request, freshly signed, that invokes the receive function with an event.

    It is signed with the secret in STRIPE_SIGNING_SECRET or in the variable that --secret-from-env names, else with
    the running local stack's, else with the sample secret, which a function on AWS refuses.

    Exit status: 0; 2 if the name is neither a sample nor a file.

    Examples
    --------
      stripe-to-segment sample request invoice.paid.manual | sam local invoke ReceiveFunction -e -
    """
    signer = given_secret(secret_from_env) or str(read_stack_file().get("signing_secret") or SAMPLE_SECRET)
    for each in _chosen([name], everything=False, fresh=fresh)[:1]:
        say_json(api_gateway_request(body_of(each), signer, int(time.time()), base64=base64), indent=2)


@app.command()
def batch(
    names: Names = None,
    *,
    everything: Everything = False,
    fresh: Fresh = True,
    queue_arn: Annotated[str, typer.Option(metavar="ARN", help="The queue that the records name.")] = QUEUE_ARN,
) -> None:
    """Print the SQS batch that invokes the deliver function with events.

    Exit status: 0; 2 if no name was given, or a name is neither a sample nor a file.

    Examples
    --------
      stripe-to-segment sample batch customer.created invoice.paid.manual | sam local invoke DeliverFunction -e -
    """
    bodies = [body_of(each) for each in _chosen(names, everything=everything, fresh=fresh)]
    say_json(sqs_batch(bodies, queue_arn, int(time.time())), indent=2)


def _chosen(names: list[str] | None, *, everything: bool, fresh: bool) -> list[dict[str, Any]]:
    if bool(names) == everything:
        say("error: name samples (`stripe-to-segment sample list` shows them) or use --all", err=True)
        raise typer.Exit(2)
    events = (
        [each.event for each in samples()] if everything else [each for name in names or () for each in _named(name)]
    )
    # A random seed for each run: two runs in the same second must not create the same ids.
    return freshen(events, int(time.time()), seed=os.urandom(8).hex()) if fresh else events


def _named(name: str) -> list[dict[str, Any]]:
    if name != STDIN and not Path(name).exists():
        try:
            return [sample(name).event]
        except LookupError as error:
            say(f"error: {error}", err=True)
            raise typer.Exit(2) from error
    events = []
    for each in read_events([name]):
        if each.error is not None or not isinstance(each.event, dict):
            say(f"error: {each.source}: {each.error or 'no JSON object'}", err=True)
            raise typer.Exit(2)
        events.append(each.event)
    return events
