"""Needs another version of what is installed."""

from modelhub.provider import SomethingOfTheFuture  # noqa: F401  importing it is the point
