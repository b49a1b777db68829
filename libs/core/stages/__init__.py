"""The four decision stages as pure state machines: features, predict, risk, execute. Live and replay run these objects."""
