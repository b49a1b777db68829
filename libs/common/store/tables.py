"""The tables as the writer sees them: columns of the binary COPY, and how projections are brought up to date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Table:
    """Rows are appended.

    Attributes:
        clock: the column of data time, ns, by which a hypertable is cut; "" for a table that stays whole.
        unique: a row may be there already; then it stays as it is, unless `better` says otherwise.
        key: columns that say which row it is. series: those of them that stand before the clock in its index, where
            rows of one series lie together; () where each row has an identity of its own.
        better: condition under which the row that comes (`excluded`) replaces the one that is there.
        kept: the class of retention; see `libs.common.store.retention.Keep`.
    """

    name: str
    columns: tuple[str, ...]
    clock: str = "ts_event"
    unique: bool = True
    key: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    better: str = ""
    kept: str = "decisions"

    @property
    def on_conflict(self) -> str:
        """The clause that follows an INSERT; a replaced row counts as stored anew."""
        if not self.better:
            return "ON CONFLICT DO NOTHING"
        sets = ", ".join(f"{column} = excluded.{column}" for column in self.columns if column not in self.key)
        return f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {sets}, stored_at = now() WHERE {self.better}"


@dataclass(frozen=True, slots=True)
class Projection:
    """One row per key, replaced by a higher revision; without a revision the first row stays.

    fixed: columns that keep their first value.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    revision: str = ""
    fixed: tuple[str, ...] = ()

    def upsert(self) -> str:
        """The statement that brings one row up to date."""
        names = ", ".join(self.columns)
        marks = ", ".join(f"${i + 1}" for i in range(len(self.columns)))
        insert = f"INSERT INTO {self.name} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(self.key)}) DO "
        if not self.revision:
            return insert + "NOTHING"
        changed = [c for c in self.columns if c not in self.key and c not in self.fixed]
        sets = ", ".join(f"{c} = excluded.{c}" for c in changed)
        return f"{insert}UPDATE SET {sets} WHERE {self.name}.{self.revision} < excluded.{self.revision}"


def _split(columns: str) -> tuple[str, ...]:
    return tuple(columns.split())


_SYMBOL: Final = ("venue", "symbol")
_INTERVAL: Final = (*_SYMBOL, "interval_s")

TICKS: Final = Table(
    "ticks",
    _split("venue symbol ts_event seq price size side kind ts_recv"),
    key=(*_SYMBOL, "ts_event", "seq", "kind"),
    series=_SYMBOL,
    kept="ticks",
)
QUOTES: Final = Table(
    "quotes", _split("venue symbol ts_event seq bid bid_size ask ask_size"), unique=False, kept="ticks"
)
BOOK_STATS: Final = Table(
    "book_stats",
    _split("venue symbol ts_event last_id bid bid_size ask ask_size bid_depth ask_depth ofi updates"),
    key=(*_SYMBOL, "ts_event", "last_id"),
    series=_SYMBOL,
    kept="book",
)
BARS: Final = Table(
    "bars",
    _split("venue symbol interval_s open_time open high low close volume buy_volume trades flags last_seq ts_recv"),
    clock="open_time",
    key=(*_INTERVAL, "open_time"),
    series=_INTERVAL,
    better="bar_rank(excluded.flags) > bar_rank(bars.flags)",
    kept="bars",
)
FEATURES: Final = Table(
    "features",
    _split("venue symbol interval_s bar_time set_hash warm flags values"),
    clock="bar_time",
    key=(*_INTERVAL, "bar_time", "set_hash"),
    series=_INTERVAL,
    kept="features",
)
FORECASTS: Final = Table(
    "forecasts",
    _split(
        "id ts_event agent venue symbol interval_s bar_time model_id abstention p_down p_neutral p_up sigma state "
        "confidence disagreement latency_us body"
    ),
)
SIGNALS: Final = Table(
    "signals",
    _split("id ts_event strategy venue symbol interval_s bar_time side action price strength evidence reason body"),
)
VERDICTS: Final = Table(
    "verdicts",
    _split("id ts_event signal_id intent_id account strategy venue symbol side action approved reasons quantity body"),
)
EQUITY: Final = Table(
    "equity",
    _split("id ts_event account venue mode currency balance equity peak_equity fees trades_today revision"),
)
ARCHIVE: Final = (TICKS, QUOTES, BOOK_STATS, BARS, FEATURES, FORECASTS, SIGNALS, VERDICTS, EQUITY)
"""Tables that are only appended to, and that retention cuts; hypertables where TimescaleDB is."""

READINGS: Final = Table("readings", _split("source series ts_event period value"), clock="")
HEADLINES: Final = Table("headlines", _split("source source_id ts_event title summary link symbols"), clock="")
"""A few rows a day, kept for training: small tables that nothing cuts."""

ORDERS: Final = Projection(
    "orders",
    _split(
        "intent_id revision ts_event created state mode venue account symbol strategy side action quantity filled "
        "average_price position_id reason exploring body"
    ),
    key=("intent_id",),
    revision="revision",
    fixed=("created",),
)
FILLS: Final = Projection(
    "fills",
    _split(
        "id intent_id ts_event mode venue account symbol strategy side action price quantity currency fee "
        "spread_cost slippage_cost realised latency_ms position_id reason exploring body"
    ),
    key=("id",),
)
POSITIONS: Final = Projection(
    "positions",
    _split(
        "position_id revision ts_event mode venue account symbol strategy side quantity entry_price stop_price "
        "target_price notional risk currency unrealised realised opened body"
    ),
    key=("position_id",),
    revision="revision",
)
ACCOUNTS: Final = Projection(
    "accounts",
    _split("account revision ts_event venue mode currency balance equity peak_equity fees body"),
    key=("account",),
    revision="revision",
)
CITED: Final = Projection("cited", _split("intent_id message_id ts_event body"), key=("intent_id", "message_id"))
AUDIT: Final = Projection("audit", _split("id ts_event kind scope reason actor body"), key=("id",))
