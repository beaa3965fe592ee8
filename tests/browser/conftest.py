"""The page of a running local stack, in a real browser that can reach nothing else."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from stripe_to_segment_tools.local_stack import LocalStack, Secret, stop_on_signals
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.page import Debugger
from stripe_to_segment_tools.page.chromium import FLAGS, find_chromium
from stripe_to_segment_tools.receiver import Behaviour, Receiver
from tests.servers.played_page import PlayedPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, Locator, Page, ViewportSize

    from stripe_to_segment_tools.receiver import Record

SECRET = Secret()
PATIENCE_MILLISECONDS = 120_000
LAST_SECONDS = 5.0
# What the browser itself says where a test wants it: the line was cut, something is not there, another run refuses.
WANTED = ("net::ERR_", "/user?id=100%", "/counted?number=revenue.EUR.2026-11-09", "/events/evt_gone", "403 (Forbidden)")


@dataclass(frozen=True, slots=True)
class Screen:
    """The open page, with what a person does on it."""

    page: Page
    url: str
    webhook_url: str
    segment: Record

    @property
    def rows(self) -> Locator:
        """The list."""
        return self.page.locator("#list .row")

    def row(self, text: str) -> Locator:
        """The rows with this text."""
        return self.rows.filter(has_text=text)

    def send(self, sample: str) -> None:
        """Choose a sample event and send it."""
        self.open_sender()
        self.page.get_by_label("Sample event").select_option(sample)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def tell(self, title: str) -> None:
        """Click a scenario."""
        self.open_sender()
        self.page.get_by_role("button", name=title).click()

    def open_sender(self) -> None:
        """Unfold what sends, where it is folded."""
        if not self.page.locator("#sample").is_visible():
            self.page.get_by_text("Send events").click()

    def segment_is(self, behaviour: str) -> None:
        """Flip Segment's switch, and wait until Segment behaves so."""
        choice = self.page.get_by_role("radio", name=behaviour, exact=True)
        with self.switched():
            # Not `check`, which looks only once: the stream may be about to draw the switch anew.
            choice.click()
        expect(choice).to_be_checked()

    def switched(self) -> AbstractContextManager[object]:
        """Flip the switch inside of this: the page shows the new state before Segment has it."""
        return self.page.expect_response(lambda answer: answer.url.endswith("/segment"))

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return wider


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need the browser; what asks for the stack needs it too."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            if "stack" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine: on Debian, apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Page:
    """What every page is opened in, one after the other: a new tab costs a process, three times as much as the page."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    return page


@pytest.fixture(scope="session")
def segment() -> Iterator[Receiver]:
    sources = {"live": SECRET.segment_write_key, "test": SECRET.segment_test_write_key}
    with Receiver(sources=sources) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(browser: Browser, segment: Receiver) -> Iterator[LocalStack]:
    del browser  # Asked for first: without it, no stack is started for nothing.
    with stop_on_signals(), LocalStack(segment.url, parameters=LOCAL_PARAMETERS, secret=SECRET) as running:
        yield running


@pytest.fixture
def debugger(stack: LocalStack, segment: Receiver) -> Iterator[Debugger]:
    """The page of an empty stack."""
    segment.record.behaviour = Behaviour()
    stack.empty()
    segment.record.clear()
    with Debugger(stack, segment, SECRET.stripe_signing_secrets[0], port=0) as running:
        yield running
    segment.record.behaviour = Behaviour()
    # What is still on its way would come into the next test's list; what waits longer is deleted there.
    until = time.monotonic() + LAST_SECONDS
    while stack.queued().events and time.monotonic() < until:
        time.sleep(0.05)


@pytest.fixture
def size() -> ViewportSize:
    """How large the window is; a test's parameters may say otherwise."""
    return {"width": 1600, "height": 1000}


@pytest.fixture
def screen(tab: Page, debugger: Debugger, segment: Receiver, size: ViewportSize) -> Iterator[Screen]:
    """The page of a real stack, opened."""
    with opened(tab, debugger.url, size) as page:
        yield Screen(page, debugger.url, debugger.webhook_url, segment.record)


@pytest.fixture
def played() -> Iterator[PlayedPage]:
    """The page's server over a stack that is only played: what it shows is put there."""
    with PlayedPage() as page, page.sender:
        yield page


@pytest.fixture
def alone(tab: Page, played: PlayedPage, size: ViewportSize) -> Iterator[Screen]:
    """Its page, opened."""
    with opened(tab, played.url, size) as page:
        yield Screen(page, played.url, played.parts.webhook_url, played.record)


@contextmanager
def opened(tab: Page, url: str, size: ViewportSize) -> Iterator[Page]:
    """A page, opened in the tab; at the end the browser must have had nothing to complain about."""
    complaints: list[str] = []
    listeners: dict[Any, Callable[[Any], None]] = {
        "console": lambda message: (
            complaints.append(f"{message.text} {message.location['url']}") if message.type != "log" else None
        ),
        "pageerror": lambda error: complaints.append(str(error)),
        "request": lambda request: complaints.append(request.url) if "127.0.0.1" not in request.url else None,
        "dialog": lambda dialog: complaints.append(f"a dialog: {dialog.message}"),
    }
    tab.set_viewport_size(size)
    tab.emulate_media(color_scheme="light", reduced_motion="null")
    for name, listener in listeners.items():
        tab.on(name, listener)
    tab.goto(url)
    expect(tab.locator("#connection")).to_have_text("live")
    try:
        yield tab
    finally:
        tab.goto("about:blank")
        for name, listener in listeners.items():
            tab.remove_listener(name, listener)
    complaints = [said for said in complaints if not any(word in said for word in WANTED)]
    assert complaints == [], "the console stays empty, and no other server is asked for anything"
