"""Checks that only the rendered page allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from tests.browser.conftest import Screen


def contrast(screen: Screen) -> float:
    """The lowest contrast of visible text with what is behind it. https://www.w3.org/TR/WCAG22/#contrast-minimum"""
    lowest: float = screen.page.evaluate(CONTRAST)
    return lowest


def violations(screen: Screen, *rules: str) -> list[str]:
    """What axe-core finds, of any impact, the best practices too, or by these of its rules.

    https://github.com/dequelabs/axe-core
    """
    axe = Axe() if screen.page.evaluate("!window.axe") else Axe("")
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found: list[dict[str, Any]] = axe.run(screen.page, options=options).response["violations"]
    return [f"{each['id']} ({each['impact']}): {node['html']}" for each in found for node in each["nodes"]]


def collisions(screen: Screen) -> list[str]:
    """The texts that lie over one another, that the window cuts off, and the parts that scroll sideways."""
    found: list[str] = screen.page.evaluate(COLLISIONS)
    return found


# A text is where its lines are, as far as the boxes around it do not clip it.
COLLISIONS = """() => {
  const clipped = (rect, element) => {
    let [left, top, right, bottom] = [rect.left, rect.top, rect.right, rect.bottom];
    for (let each = element; each && each !== document.documentElement; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (style.overflowX === "visible" && style.overflowY === "visible") continue;
      const box = each.getBoundingClientRect();
      if (style.overflowX !== "visible") [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
      if (style.overflowY !== "visible") [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    return { left, top, right, bottom };
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (element.closest("option, noscript, .hidden, .skip, .uplot")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const box = clipped(rect, element);
      const seen = box.right - box.left > 1 && box.bottom - box.top > 1;
      if (seen) texts.push({ node, box, text: node.textContent.trim() });
    }
  }
  const found = [];
  const over = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1.5
    && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 4;
  texts.forEach((one, at) => {
    if (one.box.right > innerWidth + 0.5 || one.box.left < -0.5) found.push(`the window cuts off: ${one.text}`);
    for (const other of texts.slice(at + 1)) {
      if (one.node !== other.node && over(one.box, other.box)) found.push(`${one.text} lies over ${other.text}`);
    }
  });
  const sideways = (element) => element.scrollWidth > element.clientWidth + 1
    && ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  // Code and tables of figures scroll by themselves, where they are too wide.
  for (const element of document.querySelectorAll("body *")) {
    if (sideways(element) && !element.matches(".json, .figures")) found.push(`scrolls sideways: ${element.className}`);
  }
  const wider = document.documentElement.scrollWidth - innerWidth;
  return wider > 0 ? [...found, `the page is ${wider} px too wide`] : found;
}"""

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const isText = (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim();
  const texts = [...document.querySelectorAll("body *")].filter(
    (each) => each.checkVisibility() && [...each.childNodes].some(isText) && !each.closest("option, noscript"));
  return Math.min(...texts.map((each) => {
    const [one, other] = [light(rgba(getComputedStyle(each).color)), light(behind(each))].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
  }));
}"""
