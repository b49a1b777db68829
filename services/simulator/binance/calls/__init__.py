"""Every call of the venue once: its names over REST and WebSocket, weight, parameters and what it answers."""
