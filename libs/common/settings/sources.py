"""Settings of history and of polled sources; their parts of `data`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime) -> datetime:
    """A moment in UTC: 2024-08-05, 2024-08-05T12:00, or as long before `now` as 30d, 12h, 2w say.

    Raises:
        ValueError: none of these.
    """
    if found := re.fullmatch(r"(\d{1,5})([hdw])", text):
        return now - timedelta(**{UNITS[found[2]]: int(found[1])})
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write 2024-08-05, 2024-08-05T12:00 or 30d (before now)") from None
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


def _moment(given: object) -> str:
    """YAML makes a date of 2024-08-05."""
    text = given.isoformat() if isinstance(given, date) else str(given)
    moment(text, datetime.now(UTC))
    return text


def _schedule(text: str) -> str:
    if text and not re.fullmatch(r"\S+( \S+){4}", text):
        raise ValueError(f"{text!r} is no crontab line: minute hour day month weekday, for example '5 * * * *'")
    return text


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Asked(_Section):
    source: str = Field(min_length=1, description="conclave data list names them; a ccxt exchange as ccxt:kraken")
    symbol: str = Field(min_length=1, description="in the source's spelling; of source file its path")
    endpoint: Literal["simulator", "live"] = Field("live", description="simulator: deriv, binance and ccxt:binance")
    columns: str = Field("", description="source file: names of columns, for example time=Date,close=Last")


class HistorySettings(_Asked):
    """History that `conclave data update`, and ingest on its schedule, keep up to date."""

    interval: str = Field(min_length=2, description="1m, 1h, ..., trades, aggtrades, ticks or readings")
    start: Annotated[str, BeforeValidator(_moment)] = Field("365d", description="2024-08-05, or so long before now")
    out: Path | None = Field(None, description="file; absent = <var>/data/<source>_<symbol>_<interval>.parquet")


class PollerSettings(_Asked):
    """A source as a live feed: what is new is published, as bars of venue `source` or as readings."""

    interval: str = Field("1m", min_length=2, description="1m, 1h, ... or readings")
    every_s: float = Field(60.0, ge=1, description="it is asked this often, give or take a tenth")
    calendar: Literal["always", "forex", "us_stocks"] = "always"


Schedule = Annotated[str, AfterValidator(_schedule)]
