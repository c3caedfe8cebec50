"""Streams with a coroutine."""

from modelhub.provider import ModelProvider
from modelhub.types.requests import ChatRequest


class Provider(ModelProvider):
    """Would fail at its first stream."""

    async def stream(self, request: ChatRequest[None]) -> list[object]:
        """Give all events at once."""
        return []
