"""Has no manifest."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Would work."""
