"""What a data set given to the demo holds, and the configuration narrowed to it."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from console.context import CommandError
from libs.core.types import interval_token

LINES_LOOKED_AT = 400
VENUE = "binance"


@dataclass(frozen=True)
class Dataset:
    """Symbols of a recording or a bar file. `interval` is set for bars; `notes` are lines for people."""

    symbols: tuple[str, ...]
    interval: str | None = None
    notes: tuple[str, ...] = ()

    def narrow(self, raw: dict[str, Any]) -> None:
        """Leave in a raw configuration only this data: one venue, these symbols, its account."""
        venues: list[dict[str, Any]] = raw["data"]["venues"]
        venue: dict[str, Any] = next((v for v in venues if v["name"] == VENUE), {"name": VENUE, "api": "spot"})
        intervals = [self.interval] if self.interval else ["1s", "5s"]
        venue["symbols"] = [{"symbol": symbol, "trade_intervals": intervals} for symbol in self.symbols]
        raw["data"]["venues"] = [venue]
        if self.interval:
            raw["data"]["bar_intervals"] = [self.interval]
        leaders = raw.get("features", {}).get("leader", {})
        raw.setdefault("features", {})["leader"] = {v: s for v, s in leaders.items() if s in self.symbols}
        accounts = [a for a in raw["trading"].get("accounts", []) if a["venue"] == VENUE]
        raw["trading"]["accounts"] = accounts or [{"id": "binance-paper", "venue": VENUE, "currency": "USDT"}]


def inspect(path: Path) -> Dataset:
    """Look into a folder or file.

    Raises:
        CommandError: it does not exist, or holds nothing that can be played.
    """
    if not path.exists():
        raise CommandError(f"{path} does not exist; DATA is a folder, a .jsonl(.gz) recording or a .parquet bar file")
    if path.is_file() and path.suffix == ".parquet":
        return _bars(path)
    files = sorted(p for p in path.iterdir() if _is_recording(p)) if path.is_dir() else [path]
    symbols: list[str] = []
    notes: list[str] = []
    for file in files:
        if not _is_recording(file):
            raise CommandError(f"{file} is no recording (.jsonl, .jsonl.gz) and no bar file (.parquet)")
        symbol = _spot_symbol(file)
        if symbol is None:
            notes.append(f"skipped {file.name}: not a Binance spot recording")
        elif symbol not in symbols:
            symbols.append(symbol)
    if not symbols:
        raise CommandError(f"{path} holds no Binance spot recording (lines '<receive ns> <json>' of trade and depth)")
    return Dataset(tuple(symbols), notes=tuple(notes))


def _is_recording(path: Path) -> bool:
    return path.name.endswith((".jsonl", ".jsonl.gz"))


def _lines(path: Path) -> Iterator[bytes]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as source:
            for _ in range(LINES_LOOKED_AT):
                line = source.readline()
                if not line:
                    return
                yield line
    except (OSError, EOFError) as err:
        raise CommandError(f"{path} cannot be read: {err}") from None


def _spot_symbol(path: Path) -> str | None:
    """The symbol of a spot recording; None for futures (their depth carries `pu`) and for anything else."""
    seen: Counter[str] = Counter()
    for line in _lines(path):
        _, _, text = line.partition(b" ")
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            continue
        data = message.get("data", message) if isinstance(message, dict) else None
        if not isinstance(data, dict):
            continue
        if data.get("e") == "depthUpdate" and "pu" in data:
            return None
        if isinstance(symbol := data.get("s"), str):
            seen[symbol] += 1
    return seen.most_common(1)[0][0] if seen else None


def _bars(path: Path) -> Dataset:
    import polars

    try:
        stamps = polars.read_parquet(path, columns=["ts"])["ts"]
    except (OSError, polars.exceptions.PolarsError) as err:
        raise CommandError(f"{path} is no bar file: {str(err).splitlines()[0]}") from None
    if len(stamps) < 3:
        raise CommandError(f"{path} holds fewer than 3 bars")
    step_ms = Counter(stamps.diff().drop_nulls().to_list()).most_common(1)[0][0]
    parts = [part for part in path.stem.upper().split("_") if part.endswith(("USDT", "USDC", "BUSD", "BTC", "ETH"))]
    symbol = parts[0] if parts else path.stem.upper().split("_")[0]
    return Dataset((symbol,), interval=interval_token(int(step_ms) // 1000))
