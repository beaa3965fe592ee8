"""`make screenshot`: play two scenarios on the page of a local stack, and write a picture of it to docs/page.png.

The picture shows the events with one of them in detail, and below it the numbers.

Exit status 2 without a Chromium, or if the local stack did not start.
"""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from stripe_to_segment_tools.local_stack import LocalStack, LocalStackError, Secret, stop_on_signals
from stripe_to_segment_tools.local_stack.console import Steps, print_error
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.page.chromium import FLAGS, find_chromium
from stripe_to_segment_tools.page.debugger import Debugger
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.receiver import Receiver
from stripe_to_segment_tools.samples.scenarios import SCENARIOS
from stripe_to_segment_tools.terminal.output import make_console, say

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["main"]

PICTURE = PROJECT / "docs" / "page.png"
PATIENCE_MILLISECONDS = 90_000
WIDTH, NUMBERS_HEIGHT = 1440, 588


def main() -> int:
    """Take the picture; return the exit status."""
    chromium = find_chromium()
    if chromium is None:
        say("error: no Chromium on this machine: on Debian, apt-get install chromium", err=True)
        return 2
    console = make_console()
    secret = Secret()
    sources = {"live": secret.segment_write_key, "test": secret.segment_test_write_key}
    try:
        with (
            stop_on_signals(),
            Receiver(sources=sources) as receiver,
            LocalStack(receiver.url, parameters=LOCAL_PARAMETERS, secret=secret, report=Steps(console)) as stack,
            Debugger(stack, receiver, secret.stripe_signing_secrets[0]) as debugger,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light", locale="en-GB")
            page.set_default_timeout(PATIENCE_MILLISECONDS)
            page.goto(debugger.url)
            _play(page)
            events = page.screenshot()
            page.goto(f"{debugger.url}/#/numbers/USD")
            page.locator(".chart canvas").last.wait_for()
            numbers = page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": NUMBERS_HEIGHT})
            _one_below_the_other(browser.new_page(viewport={"width": WIDTH, "height": 100}), events, numbers)
            browser.close()
    except LocalStackError as error:
        print_error(error)
        return 2
    console.print(f"written: {PICTURE}")
    return 0


def _play(page: Page) -> None:
    """Play two customers one after the other, then switch Segment to Down and send an event, which waits."""
    for name in ("subscription", "company"):
        page.get_by_role("button", name=SCENARIOS[name].title).click()
    count = sum(len(SCENARIOS[name].steps) for name in ("subscription", "company"))
    for total in (f"Events in{count}", "Waiting0"):
        page.locator(".total", has_text=re.compile(f"^{total}$")).wait_for()
    page.get_by_role("radio", name="Down", exact=True).check()
    page.get_by_label("Sample event").select_option("invoice.paid.manual")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("attempt 2 failed").wait_for()
    page.locator(".row", has_text="Subscription Upgraded").first.click()
    page.locator(".call").first.wait_for()
    page.wait_for_timeout(1_800)  # A new row is highlighted for a moment.


def _one_below_the_other(page: Page, *pictures: bytes) -> None:
    """Write the pictures as one, with a little space between them."""
    images = (f'<img src="data:image/png;base64,{b64encode(picture).decode()}">' for picture in pictures)
    style = "<style>body { margin: 0; display: grid; gap: 12px; background: #c9ced6 } img { display: block }</style>"
    page.set_content(style + "".join(images))
    page.screenshot(path=PICTURE, full_page=True)


if __name__ == "__main__":
    sys.exit(main())
