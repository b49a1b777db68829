"""Alpaca: shares at whole numbers and crypto assets, with play money (paper) or real."""
