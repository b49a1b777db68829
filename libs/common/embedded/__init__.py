"""The embedded stack: NATS and PostgreSQL from wheels, the services as processes, and a supervisor."""
