"""Where history comes from: one small class for each source, all behind one protocol."""
