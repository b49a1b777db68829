"""The catalogue's kernels, one file a family; every module here is found by itself (libs/core/features/sets.py)."""
