"""Whatever a stranger calls a title becomes one line of plain text."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser
from typing import Final

_SKIPPED: Final = frozenset({"script", "style"})


class _Words(HTMLParser):
    """Collects what is neither markup nor script."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._inside.append(tag)
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.parts.append(data)


def plain(text: str, most: int) -> str:
    """`text` without markup, control and direction characters, in one line of at most `most` characters."""
    if "<" in text or "&" in text:
        words = _Words()
        words.feed(text[: 20 * most])
        words.close()
        text = "".join(words.parts)
    # Format characters go with the control characters: among them are those that turn the direction of a line.
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text[: 20 * most])
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
