"""The venue's current Options API, told as what differs from v3: its own door, requests, limits and answers."""
