"""A simulated Binance Spot venue on one port: REST market data and streams, from a model, recordings or bars."""

from __future__ import annotations

from services.simulator.binance.feed import DataError
from services.simulator.binance.server import BinanceSimulator

__all__ = ["BinanceSimulator", "DataError"]
