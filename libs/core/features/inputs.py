"""What a feature may read: columns of bars with their history, and extra columns of what else happened in the bar."""

from __future__ import annotations

from typing import Final

# Columns of bars: x[COLUMN * w + j] is the bar of row j, x[COLUMN * w + j - k] the one k bars before it.
OPEN: Final = 0
HIGH: Final = 1
LOW: Final = 2
CLOSE: Final = 3
VOLUME: Final = 4  # base units
RET: Final = 5  # ln(close / previous close); 0 for the first bar
LOGVOL: Final = 6  # ln(1 + volume)
RANGE: Final = 7  # true range; high - low for the first bar
SESSION: Final = 8  # number of the trading session in which the bar opens; changes when a session begins
FLAT: Final = 9  # 1 for a bar that stands in for a missing one
TIME: Final = 10  # end of the bar, seconds UTC
COLUMNS: Final = 11

# Extra columns, read as e[COLUMN * v + j]; NaN where the input does not exist (no book, no trades, a bar from history).
# `libs.core.features.flow` makes them; what is counted "in the bar" is NaN unless all of the bar was heard.
EXTRA: Final = (
    "buy_volume",  # base units bought by aggressors in the bar: the venue's flag, else the tick rule
    "sell_volume",  # base units sold by aggressors
    "trades",  # prints with a size in the bar
    "trade_imbalance",  # (buy - sell) / (buy + sell); 0 without volume
    "tick_rule",  # mean sign of the bar's prints by the tick rule
    "size_q50",  # quantiles of the last 500 trade sizes, base units
    "size_q90",
    "size_q99",
    "size_gini",
    "size_log_mean",
    "large_count",  # the bar's prints above the .99 quantile of the 5,000 before each
    "large_signed",  # their signed volume, base units
    "intensity",  # prints a second, EWMA with a half-life of 30 s of event time
    "vpin",  # mean |buy - sell| / volume of the last 50 equal-volume buckets
    "bid",  # newest best bid, quote currency
    "ask",
    "bid_size",  # base units
    "ask_size",
    "spread",  # quote currency; NaN while the quotes are locked or crossed
    "spread_bp",  # of the mid
    "microprice",  # quote currency
    "imbalance_1",  # (bids - asks) / (bids + asks) over levels
    "imbalance_5",
    "imbalance_10",
    "pressure",  # the same over all levels that travel, weighted by exp(-distance in bp / 5)
    "depth_bid_1",  # base units within so many bp of the mid
    "depth_bid_5",
    "depth_bid_10",
    "depth_bid_25",
    "depth_ask_1",
    "depth_ask_5",
    "depth_ask_10",
    "depth_ask_25",
    "mean_depth",  # mean of best bid and ask size over the bar's book updates, base units
    "ofi_1",  # order-flow imbalance of a level summed over the bar, base units
    "ofi_2",
    "ofi_3",
    "ofi_4",
    "ofi_5",
    "mid_change",  # of the mid over the bar, quote currency
    "signed_volume",  # buys - sells, base units
    "avail_quotes",  # 1 or 0; NaN only for a bar of which nothing was heard at all
    "avail_book",
    "avail_trades",
    "lead_return",  # log return of the leader's bar before this one
    "lead_sigma",  # its EWMA deviation
    "outside_0",  # configured outside series, newest value published at or before the bar's end
    "outside_1",
    "outside_2",
    "outside_3",
    "funding_rate",
    "basis",
    "digit_chi2_100",  # digits of prints: chi-square against equal frequencies over a window
    "digit_chi2_1000",
    "digit_p_100",  # and its p-value, of one look
    "digit_p_1000",
    "digit_entropy_100",  # 1 = all digits equally frequent
    "digit_entropy_1000",
    "digit_streak",  # prints in a row with the newest digit
    "digit_even_streak",  # prints in a row: + even, - odd
    "digit_rise_streak",  # prints in a row: + risen, - fallen; 0 after a tie
    "digit_longest_100",  # longest run of one digit
    "digit_runs_rise",  # Wald-Wolfowitz z of the last 50 moves
    "digit_runs_even",  # and of the last 50 parities
    "digit_pairs",  # chi-square of the last 5,000 transitions between digits
    "digit_pairs_p",
    *(f"digit_freq_{digit}_{window}" for window in (100, 1000) for digit in range(10)),
)
