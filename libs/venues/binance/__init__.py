"""Binance Spot: trades, quotes, books, klines and instruments over REST and market streams."""
