"""The class, and the one instance of it."""

from modelhub import AssistantMessage, ChatResult, FinishReason
from modelhub.provider import ProviderContext, hookimpl
from modelhub.types.requests import ChatRequest


class Counting:
    """Answers with how often it was asked, which an instance can remember."""

    def __init__(self, start: int) -> None:
        self.asked = start

    @hookimpl
    async def invoke(self, context: ProviderContext, request: ChatRequest[None]) -> ChatResult[None]:
        """Answer; the arguments stand in an order of its own."""
        self.asked += 1
        text = f"{context.provider} {request.name} {self.asked}"
        return ChatResult(message=AssistantMessage(text), finish_reason=FinishReason.STOP, output=None)


plugin = Counting(40)
