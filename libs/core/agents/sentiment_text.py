"""A headline as numbers: the hashed word and character n-grams that training and serving share."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 20
SIZE: Final = 1 << BITS
"""Features of one kind; two n-grams in the same place are told apart no more."""
MOST_CHARACTERS: Final = 2_000

_URL: Final = re.compile(r"https?://\S+|www\.\S+")
_HANDLE: Final = re.compile(r"@\w+")
_TICKER: Final = re.compile(r"\$[a-z][a-z.]*")
_NUMBER: Final = re.compile(r"([+\-−])?([$€£])?\d[\d,]*(?:\.\d+)?(%)?")
_WORD: Final = re.compile(r"[a-z<>][a-z'<>_+\-%]*|[!?]")
_SPACE: Final = re.compile(r"\s+")


def normalised(text: str) -> str:
    """Lower case, with links, handles, tickers and numbers as one word each (their sign and percent are kept)."""
    text = _URL.sub(" <url> ", text[:MOST_CHARACTERS].lower().replace("’", "'"))
    text = _TICKER.sub(" <ticker> ", _HANDLE.sub(" <user> ", text))
    text = _NUMBER.sub(_number, text)
    return _SPACE.sub(" ", text).strip()


def _number(match: re.Match[str]) -> str:
    sign = {"+": "plus", "-": "minus", "−": "minus"}.get(match[1] or "", "")
    return f" <{sign}{'money' if match[2] else ''}{'percent' if match[3] else 'number'}> "


def hashed(
    text: str, words: tuple[int, int], characters: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places (below 2 x SIZE: words first, then characters) and weights of a headline's n-grams.

    The weight of an n-gram that occurs k times is 1 + ln k. `words`, `characters`: shortest and longest n-gram;
    characters are taken within a word and the spaces around it.
    """
    clean = normalised(text)
    counts: Counter[int] = Counter()
    tokens = _WORD.findall(clean)
    for n in range(words[0], words[1] + 1):
        for i in range(len(tokens) - n + 1):
            counts[_place(" ".join(tokens[i : i + n]))] += 1
    for token in clean.split():
        padded = f" {token} "
        for n in range(characters[0], characters[1] + 1):
            for i in range(max(1, len(padded) - n + 1)):
                counts[SIZE + _place(padded[i : i + n])] += 1
    places = np.array(sorted(counts), dtype=np.int64)
    return places, 1.0 + np.log(np.array([counts[int(place)] for place in places], dtype=np.float64))


def _place(gram: str) -> int:
    return zlib.crc32(gram.encode()) & (SIZE - 1)
