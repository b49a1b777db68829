"""The paper venue in small named parts: fee, spread, slippage and latency models, payoffs and protective triggers."""
