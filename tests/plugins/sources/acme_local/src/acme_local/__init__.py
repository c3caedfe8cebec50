"""A plugin whose model is no HTTP vendor and writes nothing but `invoke`."""
