"""Answers without a coroutine."""

from modelhub.provider import ModelProvider
from modelhub.types.requests import ChatRequest


class Provider(ModelProvider):
    """Would fail at its first call."""

    def invoke(self, request: ChatRequest[None]) -> None:
        """Answer at once."""
