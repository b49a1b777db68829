"""The four decision stages as pure state machines: features, predict, risk, execute; live and replay run these."""
