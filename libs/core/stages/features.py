"""The features stage: history warms an engine per symbol and interval, live bars become feature vectors.

What else a set reads - prints, books, a leader's bars, outside series - is gathered on the way and given to each bar.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.core.features.catalogue import feature_set
from libs.core.features.engine import FeatureEngine
from libs.core.features.flow import Flow, FlowConfig
from libs.core.types import SECOND, Bar, BookStats, Event, Instrument, Nanos, Reading, Ticks, Warmup


class FeaturesSymbol(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol and the bar lengths, in seconds, for which vectors are made; `calendar` "" is its usual one."""

    venue: str
    symbol: str
    intervals_s: tuple[int, ...]
    calendar: str = ""


class FeaturesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the stage is built from.

    Attributes:
        set, entries, files: the feature set, see `libs.core.features.feature_set`.
        flow: where inputs come from that no symbol has by itself.
    """

    symbols: tuple[FeaturesSymbol, ...]
    set: str = "core20"
    entries: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    flow: FlowConfig = FlowConfig()


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    set_hash: str
    engines: dict[str, bytes]
    flow: dict[str, bytes]


_VERSION = 2
_Key = tuple[str, str, int]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)
_config = msgspec.json.Decoder(FeaturesConfig)


class FeaturesStage:
    """Bars in, Features out; what its set needs beside them is taken in silence, everything else is ignored."""

    name = "features"

    def __init__(self, config: FeaturesConfig) -> None:
        """Raises ValueError when the feature set is unknown or cannot be made."""
        self.config = config
        self.set = feature_set(config.set, config.entries, config.files)
        self.engines = self._empty_engines()
        self.flow = self._empty_flow()

    def _empty_engines(self) -> dict[_Key, FeatureEngine]:
        return {
            (entry.venue, entry.symbol, interval): FeatureEngine(
                entry.venue, entry.symbol, interval, self.set, entry.calendar
            )
            for entry in self.config.symbols
            for interval in entry.intervals_s
        }

    def apply(self, event: Event, ts_init: Nanos) -> Sequence[Event]:
        """A Bar of a configured symbol and interval gives at most one Features; all else gives nothing."""
        if isinstance(event, Bar):
            return self._on_bar(event, ts_init)
        if isinstance(event, Ticks | BookStats | Reading | Instrument):
            self.flow.take(event)
        elif isinstance(event, Warmup):
            self._warm_up(event)
        return ()

    def snapshot(self) -> bytes:
        """Every engine's state, and what is remembered for the bars to come."""
        engines = {_text(key): engine.snapshot() for key, engine in self.engines.items()}
        return _encoder.encode(
            _Snapshot(version=_VERSION, set_hash=self.set.hash, engines=engines, flow=self.flow.snapshot())
        )

    def restore(self, snapshot: bytes) -> None:
        """Take up the engines that the snapshot and the configuration share; others start cold.

        Raises:
            ValueError: not a snapshot, or of another version, feature set or intervals; nothing has changed then.
        """
        try:
            taken = _decoder.decode(snapshot)
        except msgspec.DecodeError as err:
            raise ValueError(f"not a features snapshot: {err}") from err
        if (taken.version, taken.set_hash) != (_VERSION, self.set.hash):
            raise ValueError(f"features snapshot of another version or set than {self.set.name}")
        restored = self._empty_engines()
        for key, engine in restored.items():
            if _text(key) in taken.engines:
                engine.restore(taken.engines[_text(key)])
        flow = self._empty_flow()
        flow.restore(taken.flow)
        self.engines, self.flow = restored, flow

    def next_deadline(self, venue: str) -> Nanos | None:
        """Nothing waits for time here."""
        return None

    def _empty_flow(self) -> Flow:
        symbols = [(entry.venue, entry.symbol, entry.intervals_s) for entry in self.config.symbols]
        return Flow(symbols, self.config.flow, self.set.needs)

    def _on_bar(self, bar: Bar, ts_init: Nanos) -> Sequence[Event]:
        self.flow.take(bar)
        engine = self.engines.get((bar.venue, bar.symbol, bar.interval_s))
        if engine is None:
            return ()
        last = engine.last_open_time
        if last is not None and bar.open_time <= last:
            self.flow.again(bar)
        else:
            self.flow.fill(bar, engine.extras)
        features = engine.update(bar, ts_init)
        return () if features is None else (features,)

    def _warm_up(self, event: Warmup) -> None:
        self.flow.warm(event)
        engine = self.engines.get((event.venue, event.symbol, event.interval_s))
        if engine is None or not event.bars:
            return
        last = engine.last_open_time
        if last is not None and event.bars[0].open_time > last + event.interval_s * SECOND:
            engine.reset()
        for bar in event.bars:
            self.flow.fill(bar, engine.extras, live=False)
            engine.take(bar)


def build(config: bytes) -> FeaturesStage:
    """The stage from its JSON configuration, as recorded in Started.

    Raises:
        ValueError: the configuration is not valid, or names an unknown feature set.
    """
    return FeaturesStage(_config.decode(config))


def _text(key: _Key) -> str:
    return "\x1f".join(map(str, key))
