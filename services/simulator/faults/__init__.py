"""Faults on demand: what can go wrong between a venue and its clients, drawn from a seed."""
