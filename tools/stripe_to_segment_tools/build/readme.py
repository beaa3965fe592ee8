"""README.md as it is read away from the checkout: on PyPI, in the package, in the Serverless Application Repository."""

from __future__ import annotations

import re

__all__ = ["readme_elsewhere"]

_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\((?!https://|#)([^)\s]+)\)")


def readme_elsewhere(text: str, repository: str = "") -> str:
    """The text, whose links to files lead into the repository at this address.

    Without an address, pictures are left out, and of the other links the words stay.
    """

    def renewed(found: re.Match[str]) -> str:
        picture, words, file = found.groups()
        if not repository:
            return "" if picture else words
        return f"{picture}[{words}]({repository.rstrip('/')}/{'raw' if picture else 'blob'}/main/{file})"

    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(renewed, text))
