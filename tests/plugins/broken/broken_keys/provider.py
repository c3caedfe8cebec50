"""Misspells keys of its manifest, and works."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Works."""
