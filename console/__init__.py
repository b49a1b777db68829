"""The command line's rooms: what `conclave` does, one module per thing it does."""
