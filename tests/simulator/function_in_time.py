"""The deliver function in simulated time, between its queues and a Segment of which the test decides the mood."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment.delivery.circuit_breaker import Breaker
from stripe_to_segment.state.memory_store import MemoryStore
from tests.simulator.queue_in_time import Clock, Endpoint, Queue, Says
from tests.unit.edges import FUNCTIONS, REGION, SecretsManager, load_function
from tests.unit.shapes import NOW, a_customer, an_event, an_invoice

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pytest

    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt, Memory

__all__ = ["FINE", "Pack", "a_pack"]

# As the template has them; tests/template holds them there.
MOST_RECEIVES, RETENTION, VISIBILITY = 1000, 14 * 86_400, 360
IMPORT_POLLERS = 2
FINE = Says(200)
# What benchmarks/README.md has for one write of a function of 256 MB, and what it assumes for a read.
WRITE_SECONDS, READ_SECONDS = 0.0035, 0.010


@dataclass(slots=True)
class Pack:
    """The deliver function between its queues, that of events and that of imports, and Segment."""

    clock: Clock
    queue: Queue
    imports: Queue
    segment: Endpoint
    app: Any

    def arrive(self, number: int, every: float = 0.0) -> None:
        """So many customers are created, one every so many seconds."""
        event = json.dumps(an_event("customer.created", a_customer(id="cus_0"), id="evt_0").body)
        for one in range(number):
            self.queue.send(event.replace("cus_0", f"cus_{one}").replace("evt_0", f"evt_{one}"), NOW + one * every)

    def pay_often(self, events: int, seconds: float, *, user: str | None, at_once: bool = False) -> None:
        """One customer pays so many invoices within so many seconds, or `at_once` while their events arrive then.

        Each event names the user, if there is one.
        """
        metadata = {} if user is None else {"user_id": user}
        event = json.dumps(
            an_event("invoice.paid", an_invoice(customer="cus_busy", metadata=metadata), id="evt_0").body
        )
        for one in range(events):
            moment = NOW + one * seconds / events
            body = event.replace("in_basic", f"in_{one}").replace("evt_0", f"evt_{one}")
            self.queue.send(body if at_once else body.replace(str(NOW), str(int(moment))), moment)

    def drain(self) -> None:
        """Until the queues are empty."""
        self.clock.run([*self.queue.jobs(self.app.handler), *self.imports.jobs(self.app.handler)])

    def change_message_visibility_batch(self, QueueUrl: str, **more: Any) -> dict[str, Any]:
        """Of messages of either queue."""
        queue = self.imports if QueueUrl.endswith(self.imports.name) else self.queue
        return queue.change_message_visibility_batch(**more)

    def send_message(self, **message: Any) -> None:
        """A dead letter."""
        self.queue.send_message(**message)

    def asked(self, *statuses: int | None) -> list[float]:
        """When Segment answered so."""
        return [at for at, status in self.segment.asked if status in statuses]


class StoreInTime(MemoryStore):
    """A store whose reads and writes take their time, so that batches meet at the record of one customer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        """Load, and only then the time passes: another may write meanwhile."""
        memory = super().load(keys)
        self._clock.sleep(READ_SECONDS)
        return memory

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write one after the other."""
        self._clock.sleep(WRITE_SECONDS * (len(profiles) + len(learnt)))
        return super().save(profiles, learnt, now)


def a_pack(monkeypatch: pytest.MonkeyPatch, mood: Callable[[float], Says], *, timed: bool = False) -> Pack:
    """The pack; where it is `timed`, the table takes its time too."""
    for name in ("KEYS_SECRET_ARN", "EVENTS_QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "STATE_TABLE"):
        monkeypatch.setenv(name, name.lower())
    clock = Clock(NOW)
    queue = Queue(clock, MOST_RECEIVES, RETENTION, VISIBILITY)
    imports = Queue(clock, MOST_RECEIVES, RETENTION, VISIBILITY, pollers=IMPORT_POLLERS, name="imports")
    monkeypatch.setenv("IMPORT_QUEUE_URL", f"https://sqs.example/1/{imports.name}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.syspath_prepend(str(FUNCTIONS / "deliver"))
    segment = Endpoint(clock, mood)
    app = load_function("deliver")
    pack = Pack(clock, queue, imports, segment, app)
    secrets = SecretsManager(json.dumps({"segment_write_key": "l" * 32, "segment_test_write_key": "t" * 32}))
    store = StoreInTime(clock) if timed else MemoryStore()
    environment = threading.local()

    def breaker() -> Breaker:
        """Each poller is an environment of its own, which knows of the others through the store alone."""
        if not hasattr(environment, "breaker"):
            environment.breaker = Breaker(store, clock.time, app.settings.retry_base_seconds)
        known: Breaker = environment.breaker
        return known

    for name, replacement in {"time": clock, "store": lambda: store, "breaker": breaker}.items():
        monkeypatch.setattr(app, name, replacement)
    monkeypatch.setattr("stripe_to_segment.aws.client", {"sqs": pack, "secretsmanager": secrets}.__getitem__)
    app.session.mount("https://", segment)
    return pack
