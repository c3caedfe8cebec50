"""Fails at import, in two lines."""

raise RuntimeError("no luck\ntoday")
