"""Fitting: what learns from history, fold by fold, and leaves an artifact that prediction can serve."""
