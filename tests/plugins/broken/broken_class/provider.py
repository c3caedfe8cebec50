"""Names a class where an instance is meant."""

from modelhub.provider import hookimpl
from modelhub.types.requests import ChatRequest


class Provider:
    """No `ModelProvider`."""

    @hookimpl
    async def invoke(self, request: ChatRequest[None]) -> None:
        """Answer."""
