"""Has a manifest that is no YAML."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Would work."""
