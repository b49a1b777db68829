"""Mutated frames into every parser of the venues' messages; `make fuzz`."""
