"""Deriv: prices, history, instruments and contracts over its WebSocket API."""
