"""The facts about money for which an event sends no call, each with the reason, for the audit."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.subscriptions.listed import with_mrr_unsent
from stripe_to_segment.mapping.worth import fact_id, kind_of
from stripe_to_segment.segment_side.calls import dedup_key_for, dedup_key_of, wire
from stripe_to_segment.state.sums import OBJECTS, UNCOUNTED, Kind, Worth, worth_of
from stripe_to_segment.state.withheld import Why, Withheld, newest
from stripe_to_segment.stripe_side.fields import iso_time, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Any

    from stripe_to_segment.mapping.decide import EventToMap
    from stripe_to_segment.mapping.facts import Fact
    from stripe_to_segment.segment_side.calls import Call, CallBody
    from stripe_to_segment.state.profile import Profile

__all__ = ["with_all_withheld", "with_withheld"]


def with_all_withheld(profile: Profile, facts: Collection[Fact], this: EventToMap, why: Why) -> Profile:
    """The record after an event that sends no call for any of its facts.

    The next event that sends calls states the changes of mrr too.
    """
    silent = with_mrr_unsent(profile, this.known.profile)
    noted = _noted(silent, {_key(fact, this): (fact, why) for fact in facts}, this, but={Kind.MRR})
    changes = {key: one.written() for key, one in _mrr_changes(silent, this, why)}
    return replace(noted, withheld=newest({**noted.withheld, **changes})) if changes else noted


def with_withheld(profile: Profile, facts: Collection[Fact], calls: Collection[Call], this: EventToMap) -> Profile:
    """The record after an event that sends these calls. Facts without one are dropped by a setting or by `enrich`."""
    known = this.known.profile
    each_has_its_call = not known.claims and len(facts) == [call.body["type"] for call in calls].count("track")
    if each_has_its_call and not known.withheld:
        # True of most events.
        return profile
    sent = {call.dedup_key: call for call in calls}
    if not known.withheld.keys().isdisjoint(sent):
        profile = replace(profile, withheld=dict(_left(profile.withheld, sent)))
    if known.withheld and (stated := _stated_late(known, profile)):
        profile = replace(profile, withheld=dict(_less_mrr(profile.withheld, stated)))
    if each_has_its_call:
        return profile
    unsent = {key: fact for fact in facts if (key := _key(fact, this)) not in sent}
    dropped = this.settings.drop_events
    reasons = {key: (fact, Why.DROPPED if fact.name in dropped else Why.ENRICH) for key, fact in unsent.items()}
    return _noted(profile, reasons, this)


def _left(withheld: Mapping[str, Sequence[Any]], sent: Mapping[str, Call]) -> Iterator[tuple[str, Sequence[Any]]]:
    """What these calls leave of what is withheld. The change of an mrr is sent once: a call sent later says 0."""
    for key, written in withheld.items():
        if key not in sent:
            yield key, written
            continue
        one = Withheld.read(written)
        stated = worth_of(sent[key].body, one.worth.kind)
        amount = one.worth.amount - (0 if stated is None else stated.amount)
        if amount:
            yield key, replace(one, worth=replace(one.worth, amount=amount)).written()


def _mrr_changes(after: Profile, this: EventToMap, why: Why) -> Iterator[tuple[str, Withheld]]:
    """What this event adds to the mrr that was not sent, for each subscription.

    Not by its facts: the change that one of them states includes what was not sent before.
    """
    event = this.event
    for name, record in after.subscriptions.items():
        was = this.known.profile.subscriptions.get(name)
        if record is was or record.mrr is None:
            continue
        change = record.unsent_mrr - (0 if was is None else was.unsent_mrr)
        if change:
            worth = Worth(Kind.MRR, (iso_time(event.created) or "")[:7], record.currency or "", change)
            yield dedup_key_for(event.scope, "mrr", event.id, name), Withheld(why, worth, name)


def _stated_late(before: Profile, after: Profile) -> set[str]:
    """The subscriptions whose mrr was not sent as it changed, and is sent by now."""
    return {
        name
        for name, record in before.subscriptions.items()
        if record.unsent_mrr and (now := after.subscriptions.get(name)) is not None and not now.unsent_mrr
    }


def _less_mrr(withheld: Mapping[str, Sequence[Any]], stated: set[str]) -> Iterator[tuple[str, Sequence[Any]]]:
    """What is withheld, without the changes of these subscriptions' mrr that a later event has stated."""
    for key, written in withheld.items():
        one = Withheld.read(written)
        late = one.worth.kind is Kind.MRR and one.id in stated and one.why in {Why.OPTED_OUT, Why.UNKNOWN_USER}
        if not late:
            yield key, written


def _key(fact: Fact, this: EventToMap) -> str:
    return dedup_key_of(fact_id(fact.name, fact.key, this.event, this.settings))


def _noted(
    profile: Profile, reasons: dict[str, tuple[Fact, Why]], this: EventToMap, but: Collection[Kind] = ()
) -> Profile:
    """The record with those of these facts that are about money and for which no call was ever sent, each once.

    But for some kinds of sums.
    """
    known = this.known.profile
    new = {
        key: found.written()
        for key, (fact, why) in reasons.items()
        if key not in profile.withheld
        # The ledger is not copied: it may have thousands of keys.
        and key not in known.ledger
        and not any(key in claim.tracks for claim in known.claims.values() if not claim.given_up)
        and (found := _withheld(fact, why, this)) is not None
        and found.worth.kind not in but
    }
    return replace(profile, withheld=newest({**profile.withheld, **new})) if new else profile


def _withheld(fact: Fact, why: Why, this: EventToMap) -> Withheld | None:
    event = this.event
    properties = wire(fact.event.known_properties())
    body: CallBody = {"type": "track", "event": fact.name, "properties": properties}
    if event.created:
        body["timestamp"] = iso_time(event.created) or ""
    kind = kind_of(fact, body, event, this.known, this.settings)
    worth = None if kind == UNCOUNTED else worth_of(body, Kind(kind))
    return None if worth is None else Withheld(why, worth, text(properties.get(OBJECTS[worth.kind])) or "")
