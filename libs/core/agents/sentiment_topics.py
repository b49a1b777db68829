"""Which headlines are about which symbol: a table of words, whole ones, whatever their case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

_QUOTES: Final = frozenset(
    ("USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "TRY", "BRL")
) | {"BTC", "ETH", "BNB"}
"""Currencies in which an asset is quoted."""
_PREFIX: Final = re.compile(r"^(?:cry|frx)(?=[A-Z])")
_SEPARATORS: Final = re.compile(r"[/\-_:.]")


@lru_cache(maxsize=4096)
def covers(topic: str, symbol: str) -> bool:
    """Whether news about `topic` is news about `symbol`: they are equal, or the symbol is the topic in a currency.

    BTC covers BTCUSDT, BTC/USD and cryBTCUSD; it does not cover ETHBTC, where it is only what is paid with.
    """
    if topic == symbol:
        return True
    plain = _SEPARATORS.sub("", _PREFIX.sub("", symbol))
    return plain == topic or (plain.startswith(topic) and plain[len(topic) :] in _QUOTES)


class Topics:
    """The table of the configuration, compiled: topic to the words by which a headline is about it."""

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        self._patterns = {
            topic: re.compile(
                r"(?<!\w)(?:"
                + "|".join(re.escape(word.strip()) for word in sorted(words) if word.strip())
                + r")(?!\w)",
                re.IGNORECASE,
            )
            for topic, words in sorted(table.items())
            if any(word.strip() for word in words)
        }

    def of(self, text: str) -> tuple[str, ...]:
        """The topics of a text, sorted."""
        return tuple(topic for topic, pattern in self._patterns.items() if pattern.search(text))
