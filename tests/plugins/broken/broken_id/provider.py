"""Has a manifest that names another provider."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Would work."""
