"""Where a tape keeps what it remembers: slots of its float64 state, its integers, and its sums of each interval."""

from __future__ import annotations

from typing import Final

RECENT: Final = 500
"""Sizes whose distribution is told."""
LONG: Final = 5_000
"""Sizes among which a print is large or not, and transitions between digits."""
BUCKETS: Final = 50
"""Equal-volume buckets of VPIN; one holds this part of a day's volume."""
HOURS: Final = 24
NEAR: Final = 100
FAR: Final = 1_000
"""Windows of the digits' frequencies, prints."""
RUNS: Final = 50
"""Moves and parities in a runs test."""
LEVELS: Final = 5
"""Book levels with an order-flow imbalance."""

# State, float64.
PRICE: Final = 0  # of the newest print
SIGN: Final = 1  # of it, by the tick rule
INTENSITY: Final = 2  # prints a second at the newest print
BUCKET_SIZE: Final = 3  # base units that the open bucket will hold; 0 = none is open
BUCKET_VOLUME: Final = 4
BUCKET_NET: Final = 5
LOG_SIZES: Final = 6  # sum of ln(size) of the last RECENT
VPIN: Final = 7  # ring of BUCKETS
DAY: Final = VPIN + BUCKETS  # volume of each of the last HOURS hours, by hour % HOURS
SIZES: Final = DAY + HOURS  # ring of LONG
RECENT_SORTED: Final = SIZES + LONG
LONG_SORTED: Final = RECENT_SORTED + RECENT
STATE: Final = LONG_SORTED + LONG

# Integers, int64.
PRINTS: Final = 0  # taken
NEWEST: Final = 1  # ns UTC of the newest print
SINCE: Final = 2  # ns UTC from which on every print was heard; 0 = nothing yet
SIZED: Final = 3  # prints with a size
FILLED: Final = 4  # buckets
HOUR: Final = 5  # newest hour of DAY, hours since 1970
FIRST: Final = 6  # ns UTC of the first print with a size
DIGITS: Final = 7  # digits taken
MOVES: Final = 8  # consecutive pairs of prints
STREAK: Final = 9
EVEN_STREAK: Final = 10
RISE_STREAK: Final = 11
JOINED: Final = 12  # 1 while the next print follows the newest one
DIGIT_RING: Final = 13  # ring of FAR
MOVE_RING: Final = DIGIT_RING + FAR  # ring of RUNS: 1 risen, 0 not
PAIR_RING: Final = MOVE_RING + RUNS  # ring of LONG: 10 * digit before + digit
PAIRS: Final = PAIR_RING + LONG  # count of each
NEAR_COUNT: Final = PAIRS + 100
FAR_COUNT: Final = NEAR_COUNT + 10
INTEGERS: Final = FAR_COUNT + 10

# Sums of an interval since its last bar, a row each.
BOUGHT: Final = 0
SOLD: Final = 1
COUNTED: Final = 2  # prints with a size
SIGNS: Final = 3  # of prints by the tick rule
SIGNED: Final = 4  # prints with or without a size
LARGE: Final = 5
LARGE_NET: Final = 6
OFI: Final = 7  # LEVELS of them
DEPTH: Final = OFI + LEVELS  # (best bid size + best ask size) / 2, summed over book updates
UPDATES: Final = DEPTH + 1
LOST: Final = UPDATES + 1  # times that book updates were lost
LIVE: Final = LOST + 1  # 1 once a bar of this length came while somebody listened
SUMS: Final = LIVE + 1
