"""Claims the id of another distribution."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """The second."""
