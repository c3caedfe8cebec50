"""Is for a contract of the future, as its manifest says."""

raise RuntimeError("imported")
