"""The result of one check, and a guard that lets the other checks go on where AWS or Stripe refuses one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError, code_of
from stripe_to_segment_tools.access.stack import StackAccessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["GONE", "LOCKED", "Check", "State", "bad", "good", "guarded", "unknown"]

# CloudFormation compares templates, not resources, so a deployment does not make a deleted one again.
CORRECT = "correct it, or deploy again: make deploy"
GONE = "somebody has deleted it: docs/operations.md, A part of the stack is gone"
LOCKED = "enable its KMS key again, or let it be used: docs/operations.md, Secrets, and a key of your own"


class State(StrEnum):
    """The result of a check."""

    GOOD = "ok"
    BAD = "failed"
    UNKNOWN = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: the checked part, its state in words, and (unless it is good) the fix."""

    name: str
    state: State
    said: str
    fix: str = ""


def good(name: str, said: str) -> Check:
    """A check that passed."""
    return Check(name, State.GOOD, said)


def bad(name: str, said: str, fix: str) -> Check:
    """A check that failed, with the fix."""
    return Check(name, State.BAD, said, fix)


def unknown(name: str, said: str, fix: str = "") -> Check:
    """A check that could not be made, with the way to make it possible."""
    return Check(name, State.UNKNOWN, said, fix)


def guarded(name: str, checks: Callable[[], Iterable[Check]], fix: str = CORRECT) -> Iterator[Check]:
    """The results of these checks; if AWS or Stripe refuses access, one line says so, and the other checks go on.

    `fix` is for what is configured wrongly.
    """
    try:
        yield from checks()
    except ClientError as error:
        code = code_of(error)
        said = f"AWS refused {error.operation_name}: {code}"
        if "Denied" in code or "Unauthorized" in code:
            yield unknown(name, said, "docs/permissions.md lists the permissions of this command")
        elif fix_of := _lost(code):
            yield bad(name, said, fix_of)
        else:
            yield unknown(name, said, "try again")
    except BotoCoreError as error:
        yield unknown(name, f"AWS did not answer: {error}", "try again")
    except (ConfigurationError, StackAccessError) as error:
        yield bad(name, str(error), fix)
    except StripeToSegmentError as error:
        if isinstance(error.__cause__, ClientError) and (fix_of := _lost(code_of(error.__cause__))):
            yield bad(name, str(error), fix_of)
        else:
            yield unknown(name, str(error), "try again")


def _lost(code: str) -> str:
    """What brings back the part of the stack that AWS's error code says is lost; empty for another error."""
    if any(word in code for word in ("NotFound", "NonExistent", "DoesNotExist")):
        return GONE
    # Of Secrets Manager and of SQS. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
    locked = ("DecryptionFailure", "KmsDisabled", "KmsInvalidState", "KMS.Disabled", "KMS.InvalidState")
    return LOCKED if any(word in code for word in locked) else ""
