"""The provider and its one model."""

from modelhub import AssistantMessage, ChatResult, FinishReason, Usage
from modelhub.provider import LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.types.messages import ReasoningPart, TextPart
from modelhub.types.requests import ChatRequest


class Shouter(LargeLanguageModel):
    """Shouts, in a thread."""

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Shout what was said."""
        text = str(request.messages[-1].content)
        shouted = await context.blocking(text.upper)
        return ChatResult(
            message=AssistantMessage((ReasoningPart("loudly"), TextPart(shouted))),
            finish_reason=FinishReason.STOP,
            output=None,
            usage=Usage(len(text), len(shouted)),
        )


class AcmeLocal(ModelProvider):
    """Needs no credential."""

    llm = Shouter
