"""What `make bench` measures: our own parts against the barest thing that does the same work, in the same run."""
