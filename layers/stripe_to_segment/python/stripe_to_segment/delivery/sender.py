"""Send a batch's calls to Segment under the write key of their mode; in log mode write them to the log only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.key_shapes import write_key_flaw
from stripe_to_segment.observability import count, logger
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.segment_side.client import SegmentClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import requests

    from stripe_to_segment.delivery.batch import Sender
    from stripe_to_segment.secrets import Keys, SecretSource
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings

__all__ = ["sender"]

KEY_FIELD = {True: "segment_write_key", False: "segment_test_write_key"}
FLAWS = {
    "placeholder": "is a placeholder, or holds characters that no write key has",
    "foreign": "is a key of something else, which must not be shown to anybody",
}


def sender(
    settings: Settings, secret: SecretSource[Keys], session: requests.Session, seconds_left: Callable[[], float]
) -> Sender:
    """The sender for these settings: to Segment, or to the log."""

    def send(calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
        try:
            keys = secret.get()
            if write_key_flaw(keys.write_key(livemode=livemode)) and secret.refresh():
                keys = secret.get()
        except ConfigurationError as error:
            return _all(calls, Answer(Meaning.MISCONFIGURED, Reason.BAD_SECRET, str(error)))
        key = keys.write_key(livemode=livemode)
        if flaw := key and write_key_flaw(key):
            return _all(
                calls, Answer(Meaning.MISCONFIGURED, Reason.BAD_WRITE_KEY, f"{KEY_FIELD[livemode]} {FLAWS[flaw]}")
            )
        if key:
            client = SegmentClient(session, settings.segment_endpoint, key, compress=settings.compresses)
            return client.send(calls, seconds_left)
        if not livemode and keys.segment_write_key:
            # A live stack without a write key for test events does not want them.
            return _all(calls, Answer(Meaning.UNWANTED, Reason.NO_TEST_WRITE_KEY, "segment_test_write_key is empty"))
        return _without_key(calls, livemode=livemode)

    return _log if settings.delivery_mode == "log" else send


def _without_key(calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
    name = KEY_FIELD[livemode]
    logger.error(f"{name} is empty in the KeysSecret: events wait until it is set", extra={"calls": len(calls)})
    count("WriteKeyMissing")
    return _all(calls, Answer(Meaning.MISCONFIGURED, Reason.NO_WRITE_KEY, f"{name} is empty in the KeysSecret"))


def _log(calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
    for call in calls:
        body = call.body
        fields = {"call": body["type"], "message_id": call.message_id, "livemode": livemode}
        logger.info("not sent: DELIVERY_MODE is log", extra={**fields, "event_name": body.get("event")})
    return _all(calls, Answer(Meaning.ACCEPTED))


def _all(calls: Sequence[Call], answer: Answer) -> Mapping[str, Answer]:
    return dict.fromkeys((call.message_id for call in calls), answer)
