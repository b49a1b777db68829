"""Which data time a roll-up may be computed over: whole buckets whose parts are all still there."""

from __future__ import annotations

from collections.abc import Iterable

from libs.core.types import Nanos

Range = tuple[Nanos, Nanos]
"""[first, last) in ns of data time."""


def refresh_windows(
    present: Iterable[Range], dropped: Iterable[Range], width: Nanos, until: Nanos | None = None
) -> list[Range]:
    """Disjoint windows in order, each a whole number of buckets, that lie in `present` and touch nothing of `dropped`.

    A refresh over a bucket that retention has cut would replace what was rightly aggregated by what is left of it, so
    a bucket that reaches beyond the chunks that exist is left out as well: someone else may have dropped the rest.

    Args:
        present: ranges of the chunks that exist, in any order, adjacent or not.
        dropped: ranges of which retention has taken rows.
        width: length of a bucket; buckets begin at its multiples.
        until: buckets that end after this are not complete yet and left out; None = none is.
    """
    taken = [(first // width * width, -(-last // width) * width) for first, last in _joined(dropped)]
    windows = []
    for first, last in _joined(present):
        at, end = -(-first // width) * width, last // width * width
        if until is not None:
            end = min(end, until // width * width)
        for gone, back in _joined(taken):
            if at < gone and at < end:
                windows.append((at, min(gone, end)))
            at = max(at, back)
        if at < end:
            windows.append((at, end))
    return windows


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """The same set of moments as the fewest ranges, in order."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if first >= last:
            continue
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined
