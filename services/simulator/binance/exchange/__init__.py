"""The matching engine of the simulated Binance: accounts, orders, filters and fills, without any wire."""
