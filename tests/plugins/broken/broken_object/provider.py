"""Lacks the object that its entry point names."""
