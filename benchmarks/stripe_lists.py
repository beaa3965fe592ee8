"""Stripe's lists of a business of any size, made while they are read, with Stripe's rate limit on a simulated clock.

Each customer has a subscription, ten paid invoices and their ten payments, evenly over four years. Nothing is kept, so
the memory of a process that reads the lists is that of its reading.
https://docs.stripe.com/api/pagination and https://docs.stripe.com/rate-limits
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from stripe_to_segment.stripe_side.objects import OBJECTS

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["KEY", "NOW", "PER_CUSTOMER", "START", "Clock", "StripeLists"]

KEY = "rk_test_benchQk7Zr2Xw9Lt4Vy8Np3Jd6"
NOW = 1_790_000_000
START = NOW - 4 * 365 * 86_400
EVENTS = Path(__file__).resolve().parents[1] / "events"
PER_CUSTOMER = {"customer": 1, "subscription": 1, "invoice": 10, "payment_intent": 10}
# A test key's limit, the lower one; Stripe lets a short burst pass.
ALLOWED_A_SECOND = 25.0
# Seconds until Stripe answers with a page of a hundred, generously.
ANSWER_SECONDS = {"invoice": 1.5}
OTHER_ANSWER_SECONDS = 0.7
TOO_MANY = 429


class Clock:
    """Simulated seconds, for `Pace`: a pause takes no time, and ends so many seconds after the thread last looked."""

    def __init__(self) -> None:
        self.now = 0.0
        self._seen = threading.local()
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """The time."""
        self._seen.now = self.now
        return self.now

    def pause(self, seconds: float) -> None:
        """Let the time pass."""
        with self._lock:
            self.now = max(self.now, self._seen.now + seconds)


class StripeLists:
    """The lists as a server, as a context manager.

    Attributes
    ----------
    requests
        How many requests were answered with a page, by the kind of their objects; those refused with 429 are not among
        them.
    refused
        How many were answered 429.
    waited
        The seconds for which Stripe would have had its clients wait for these pages, one after the other.
    """

    def __init__(self, customers: int, clock: Clock) -> None:
        self._counts = {kind: number * customers for kind, number in PER_CUSTOMER.items()}
        self._customers = customers
        self._clock = clock
        self._paths = {each.path: kind for kind, each in OBJECTS.items() if each.listing is not None}
        self._templates = {kind: _template(kind) for kind in PER_CUSTOMER}
        self._lock = threading.Lock()
        self._allowance, self._at = ALLOWED_A_SECOND, 0.0
        self.requests: Counter[str] = Counter()
        self.refused = 0
        self.waited = 0.0
        lists = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else each answer waits for the acknowledgement of its headers.
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                status, body = lists.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Start."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, address: str) -> tuple[int, bytes]:
        """The status and the page for an address."""
        parts = urlsplit(address)
        kind, query = self._paths[parts.path], parse_qs(parts.query)
        with self._lock:
            if not self._allowed():
                self.refused += 1
                return TOO_MANY, b'{"error": {"type": "invalid_request_error", "code": "rate_limit"}}'
            self.requests[kind] += 1
            self.waited += ANSWER_SECONDS.get(kind, OTHER_ANSWER_SECONDS)
        return 200, self._page(kind, query).encode()

    def _allowed(self) -> bool:
        """Whether the limit lets one more pass: a bucket that fills with ALLOWED_A_SECOND and holds as many."""
        now = self._clock.now
        self._allowance = min(self._allowance + (now - self._at) * ALLOWED_A_SECOND, ALLOWED_A_SECOND)
        self._at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _page(self, kind: str, query: dict[str, list[str]]) -> str:
        count, limit = self._counts.get(kind, 0), int(query["limit"][0])
        # All invoices are paid.
        if query.get("status", ["paid"])[0] not in {"all", "paid"}:
            count = 0
        last = min(count, _first(count, int(query.get("created[lt]", [NOW + 1])[0]))) - 1
        first = _first(count, int(query.get("created[gte]", [0])[0]))
        if after := query.get("starting_after"):
            last = min(last, int(after[0].rpartition("_")[2]) - 1)
        places = range(last, max(last - limit, first - 1), -1)
        data = ",".join(self._object(kind, place) for place in places)
        more = "true" if last - limit >= first else "false"
        return f'{{"object":"list","has_more":{more},"data":[{data}]}}'

    def _object(self, kind: str, place: int) -> str:
        created, owner = START + (NOW - START) * place // self._counts[kind], place % self._customers
        text = self._templates[kind].replace("%PLACE%", f"{place:09d}").replace("%OWNER%", f"{owner:09d}")
        return text.replace('"%CREATED%"', str(created))


def _first(count: int, moment: int) -> int:
    """The first of so many objects that was created at a moment or later."""
    return max(-(-(moment - START) * count // (NOW - START)), 0)


def _template(kind: str) -> str:
    """An object of a kind, as a sample event has it, with marks for its number, its customer and its time."""
    names = {
        "customer": "customer.created",
        "subscription": "customer.subscription.created.active",
        "invoice": "invoice.paid.subscription_cycle",
        "payment_intent": "payment_intent.succeeded",
    }
    one = json.loads((EVENTS / f"{names[kind]}.json").read_text("utf-8"))["data"]["object"]
    prefix = {"customer": "cus", "subscription": "sub", "invoice": "in", "payment_intent": "pi"}[kind]
    one |= {"id": f"{prefix}_%PLACE%", "created": "%CREATED%"}
    if kind != "customer":
        one["customer"] = "cus_%OWNER%"
    if kind == "customer":
        one["metadata"] = {"user_id": "user_%PLACE%"}
    if kind == "subscription":
        one |= {"discounts": [], "metadata": {}}
    if kind == "invoice":
        paid = {
            "payment": {"type": "payment_intent", "payment_intent": "pi_%PLACE%"},
            "amount_paid": one["amount_paid"],
        }
        part = {"id": "inpay_%PLACE%", "object": "invoice_payment", "status": "paid", **paid}
        one["payments"] = {"object": "list", "has_more": False, "data": [part]}
        one["status_transitions"] |= {"paid_at": "%CREATED%", "finalized_at": "%CREATED%"}
        one["parent"]["subscription_details"] |= {"subscription": "sub_%OWNER%"}
    if kind == "payment_intent":
        one["payment_details"] = {"customer_reference": None, "order_reference": "in_%PLACE%"}
    return json.dumps(one)
