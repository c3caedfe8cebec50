"""Has an id that another distribution claims too."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """The first."""
