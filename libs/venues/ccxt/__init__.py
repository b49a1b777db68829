"""Any exchange that the ccxt library knows, as spot: the whole contract over its unified calls."""
