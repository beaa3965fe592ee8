"""Map the events of a batch, and write the claims of their calls and what they teach, before anything is sent."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.learnt import learnt_from, named_once
from stripe_to_segment.delivery.load import fits, known_to
from stripe_to_segment.delivery.look_up import look_up
from stripe_to_segment.delivery.outcome import dead, oversize, unmappable, unwritten
from stripe_to_segment.delivery.persons import Persons, Turn
from stripe_to_segment.delivery.progress import Prepared
from stripe_to_segment.delivery.take_over import take_over
from stripe_to_segment.errors import EnrichError, StoreConflictError, StoreUnavailableError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.identity import reference_refused, stated_by, with_name_ahead
from stripe_to_segment.mapping.lookups import read_from_stripe
from stripe_to_segment.mapping.subscriptions.discounts import with_coupon_ahead
from stripe_to_segment.mapping.translate import translate
from stripe_to_segment.reasons import Reason
from stripe_to_segment.state.store import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stripe_to_segment.delivery.load import Reader
    from stripe_to_segment.delivery.outcome import Work
    from stripe_to_segment.delivery.progress import Progress
    from stripe_to_segment.delivery.take_over import Taken
    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.mapping.translate import Translation
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt, Memory, Store

__all__ = ["Claiming"]


@frozen
class Claiming:
    """Maps and claims; the parameters are those of Delivery."""

    settings: Settings
    store: Store
    enrich: Enrich
    reader: Reader | None
    remembers: bool

    def claim(self, work: list[Work], memory: Memory, progress: Progress) -> Prepared:
        """Map the work, and write the claims and what was learnt."""
        before = dict(memory.profiles)
        learnt = self._look_up(work, memory, progress)
        persons = Persons(self.settings, Turn(progress.delivery, progress.now, progress.until, self.remembers))
        try:
            taken = take_over([one.event for one in work], memory, self.store, persons.turn)
            persons.meet([(one.event, one.stated) for one in work], memory, self.store)
        except StoreUnavailableError as unavailable:
            progress.outcomes.update((one.record.id, unwritten(one, unavailable)) for one in work)
            return Prepared()
        work, again, others = self._by_person(work, persons, taken, progress)
        learnt += self._translate(work, memory, persons, progress)
        learnt = named_once(learnt, [one.event for one in work])
        errors: Mapping[str, Exception] = {}
        if self.remembers:
            mapped = {one.key for one in work if one.translation is not None}
            claimed = {one.key for one in work if one.translation is not None and one.translation.claim is not None}
            claimed |= {fact.owner for fact in learnt if fact.joins_late and _is_not_known(fact, memory)}
            changed = [
                memory.profiles[key] for key in sorted(mapped) if key in claimed or memory.profiles[key] != before[key]
            ]
            errors = self._save(changed, learnt, persons, taken.by(mapped))
            progress.leased = progress.leased or persons.leased
        ready: list[Work] = []
        for one in work:
            if one.translation is None:
                continue
            error = _error_of(one, one.translation, errors, memory) if errors else None
            if error is None:
                ready.append(one)
            elif isinstance(error, StoreConflictError):
                again.append(one)
            else:
                progress.outcomes[one.record.id] = unwritten(one, error)
        return Prepared(ready, again, others)

    def _by_person(
        self, work: list[Work], persons: Persons, taken: Taken, progress: Progress
    ) -> tuple[list[Work], list[Work], list[Work]]:
        """The work whose persons are free, the work that met a newer record, and the work that waits for others."""
        if not (persons.records or taken.busy or taken.unreadable):
            return work, [], []
        busy = {**taken.busy, **persons.busy}
        free: list[Work] = []
        again: list[Work] = []
        others: list[Work] = []
        for one in progress.readable(work, lambda one: taken.unreadable.get(one.key) or persons.unreadable(one.key)):
            if one.key in busy:
                progress.wait_for(one, *busy[one.key])
                others.append(one)
            else:
                (again if one.key in persons.stale else free).append(one)
        return free, again, others

    def _look_up(self, work: list[Work], memory: Memory, progress: Progress) -> list[Learnt]:
        """Learn what events do not state themselves, from others of the batch and from Stripe, before they are mapped.

        Returns the product names, to be stored.
        """
        for one in work:
            if one.event.type == "customer.discount.created":
                memory.profiles[one.key] = with_coupon_ahead(one.event, memory.profiles[one.key])
            if one.event.about == "customer":
                profile = memory.profiles[one.key]
                memory.profiles[one.key] = with_name_ahead(profile, one.stated, one.event.created)
        learnt = look_up(work, memory, self.reader, self.settings, int(progress.now))
        for one in work:
            customer = read_from_stripe(one.event, memory, "customer", one.event.customer)
            if customer is not None:
                one.stated = stated_by(one.event, self.settings, customer)
            one.reference_refused = reference_refused(one.event, self.settings)
        return learnt

    def _save(
        self,
        changed: Sequence[Profile],
        learnt: list[Learnt],
        persons: Persons,
        taken: Taken,
    ) -> dict[str, Exception]:
        """Claim the persons with several records, then write the records and what was learnt.

        Returns the errors by key.
        """
        now = persons.turn.now
        unmarked = self.store.save(taken.marked, [], now) if taken.marked else {}
        errors = {mark.moved_to: unmarked[mark.key] for mark in taken.marked if mark.key in unmarked}
        errors |= persons.claim({profile.key for profile in changed}, self.store)
        if errors:
            changed = [profile for profile in changed if profile.key not in errors]
            # Of a fact that is not written, also for events with another record than its owner's.
            errors |= {fact.key: errors[fact.owner] for fact in learnt if fact.owner in errors}
            learnt = [fact for fact in learnt if fact.owner not in errors]
        learnt, last = taken.parted(learnt)
        errors = persons.with_siblings(errors | self.store.save(changed, learnt, now))
        if last:
            # If this fails, the next event of the payment takes over again; one that teaches it is mapped anew.
            errors |= self.store.save([], [fact for fact in last if fact.owner not in errors], now)
        moved = {(person, record) for person, record in persons.left() if record not in errors}
        if moved:
            # If this fails, a record that moved is still listed, and is skipped by what the record itself says.
            with suppress(StoreUnavailableError):
                self.store.untie(moved)
        return errors

    def _translate(self, work: list[Work], memory: Memory, persons: Persons, progress: Progress) -> list[Learnt]:
        """Translate one event after the other; each uses what the ones before it taught."""
        learnt: list[Learnt] = []
        now = int(progress.now)
        for one in work:
            one.translation = None
            try:
                known = known_to(one.event, memory, one.stated, self.settings)
                translation = translate(
                    one.event,
                    persons.known_of(known, one.event, memory),
                    self.settings,
                    enrich=self.enrich,
                    may_wait=one.may_wait(self.settings, now),
                )
            except EnrichError as error:
                progress.outcomes[one.record.id] = dead(one, Reason.ENRICH_FAILED, str(error))
                continue
            except Exception as error:  # noqa: BLE001 - one event that the mapper cannot take must not stop the others
                progress.outcomes[one.record.id] = unmappable(one, error)
                continue
            taught = [*map(memory.agreed, learnt_from(one.event, translation, memory.owners))]
            # An order's value is the key of another item; a name and a coupon are only stored.
            if [one for one in taught if not fits(one.key) or (one.kind == "order" and not fits(one.value))]:
                progress.outcomes[one.record.id] = oversize(one)
                continue
            one.translation = translation
            profile = translation.profile
            if translation.counted:
                profile = profile.with_delivered(translation.counted, now // DAY)
            if translation.claim:
                profile = profile.with_claim(
                    translation.dedup_key,
                    translation.claim,
                    now // DAY,
                    delivery=progress.delivery,
                    lease_until=progress.until,
                )
            profile, opt_out = persons.after(one.event, known.profile, profile, memory)
            memory.profiles[one.key] = profile
            learnt += [opt_out] if opt_out is not None else []
            for lesson in taught:
                alone = _is_stated_alone(lesson, known.profile, translation.profile)
                learnt += [lesson] if alone or memory.needs(lesson) else []
                memory.learn(lesson)
        return learnt


def _is_stated_alone(lesson: Learnt, before: Profile, after: Profile) -> bool:
    """Whether the event states a payment as an order of its own.

    Another batch, which joins it with its invoice, may write its order between the reads of the order and the record.
    """
    payment = lesson.itself
    alone = lesson.kind == "order" and not lesson.names_another and not payment.startswith("in_")
    return alone and after.has_counted(payment) and not before.has_counted(payment)


def _is_not_known(late: Learnt, memory: Memory) -> bool:
    """Whether the record of the payer knows nothing of this invoice of the payment.

    Another batch, which has read the record as it is, may be about to write the payment into it as an order of its own.
    If this batch writes it too, the other one meets a newer record, and learns of the invoice.
    """
    record = memory.profiles.get(late.owner)
    return record is not None and record.order_paid_by(late.itself) is None


def _error_of(one: Work, translation: Translation, errors: Mapping[str, Exception], memory: Memory) -> Exception | None:
    """Why the record of an event's customer was not written, or what the event taught."""
    keys = (one.key, *(lesson.key for lesson in learnt_from(one.event, translation, memory.owners)))
    return next((errors[key] for key in keys if key in errors), None)
