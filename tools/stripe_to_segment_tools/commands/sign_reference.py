"""`stripe-to-segment sign-reference`: sign a client reference for a Payment Link, so that no visitor can forge it."""

from __future__ import annotations

import os
import sys
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

import typer

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.key_shapes import reference_key_flaw
from stripe_to_segment.mapping.references import signed_reference
from stripe_to_segment_tools.access.options import StackChoice, on_a_stack
from stripe_to_segment_tools.commands.overrides import REFERENCE_KEY
from stripe_to_segment_tools.samples.inputs import STDIN
from stripe_to_segment_tools.terminal.output import say, stop

__all__ = ["sign_reference_command"]


@on_a_stack
def sign_reference_command(
    stack: StackChoice,
    users: Annotated[
        list[str], typer.Argument(metavar="USER", help="User ids; - reads them from standard input, one a line.")
    ],
    *,
    link: Annotated[
        str, typer.Option(metavar="URL", help="Print this Payment Link with the reference in its address.")
    ] = "",
) -> None:
    """Print a signed client reference for each user, which no visitor of a Payment Link or a pricing table can forge.

    A reference is the user's id (in base64url if Stripe would not take its characters), an underscore, and an HMAC with
    the stack's `client_reference_key`. Your own code can create it too; docs/identity.md has the code in Python and
    JavaScript. The key is read from CLIENT_REFERENCE_KEY in the environment, else from the KeysSecret.

    Exit status: 0, or 2 if there is no key or a reference would be too long for Stripe.

    Examples
    --------
      stripe-to-segment sign-reference user_4821 --stack stripe-to-segment

      stripe-to-segment sign-reference user_4821 --link https://buy.stripe.com/4gw5lq1mZ8Z0d5u6oo
    """
    if link and not _is_link(link):
        stop("--link takes the https:// address of a Payment Link, such as https://buy.stripe.com/…")
    key = os.environ.get(REFERENCE_KEY, "").strip() or stack.find().keys().client_reference_key
    if not key:
        stop(
            "the KeysSecret has no client_reference_key: put a long random text there with "
            f"`stripe-to-segment secret set client_reference_key`, or set {REFERENCE_KEY}"
        )
    if reference_key_flaw(key):
        say(
            "note: on AWS references that this key signs do not count, because it is short or a placeholder: set a"
            " long random "
            "text with `stripe-to-segment secret set client_reference_key`",
            err=True,
        )
    for user in [line.strip() for line in sys.stdin if line.strip()] if users == [STDIN] else users:
        try:
            reference = signed_reference(user, key)
        except ConfigurationError as error:
            stop(str(error))
        say(_with_reference(link, reference) if link else reference)


def _is_link(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" and bool(parts.hostname)


def _with_reference(link: str, reference: str) -> str:
    parts = urlsplit(link)
    others = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "client_reference_id"]
    return parts._replace(query=urlencode([*others, ("client_reference_id", reference)])).geturl()
