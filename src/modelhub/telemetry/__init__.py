"""Sinks that come with modelhub. Calls know nothing of them: they are given to the hub."""

from modelhub.telemetry.logs import LogSink

__all__ = ["LogSink"]
