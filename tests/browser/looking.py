"""What only the rendered page can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Screen


def contrast(screen: Screen) -> float:
    """The lowest contrast of visible text with what is behind it. https://www.w3.org/TR/WCAG22/#contrast-minimum"""
    lowest: float = screen.page.evaluate(CONTRAST)
    return lowest


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
