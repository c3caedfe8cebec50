"""Pretends that the user wanted to stop."""

raise KeyboardInterrupt
