"""Has rows for ids that are taken, and works."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Works."""
