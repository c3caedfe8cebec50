"""A plugin that is a module of functions, each with the arguments it needs."""

from collections.abc import AsyncGenerator

from modelhub import AssistantMessage, ChatResult, Finish, FinishReason, ModelSchema, ModelType, TextDelta, TokenCount
from modelhub.provider import hookimpl
from modelhub.types.events import Event
from modelhub.types.requests import ChatRequest

contract = 1


@hookimpl
async def invoke(request: ChatRequest[None]) -> ChatResult[None]:
    """Say it back."""
    text = str(request.messages[-1].content)
    return ChatResult(message=AssistantMessage(text), finish_reason=FinishReason.STOP, output=None)


@hookimpl
async def stream(request: ChatRequest[None]) -> AsyncGenerator[Event, None]:
    """Say it back word by word."""
    for word in str(request.messages[-1].content).split():
        yield TextDelta(0, word)
    yield Finish(FinishReason.STOP)


@hookimpl
async def list_models() -> list[ModelSchema]:
    """Name the one model there is."""
    return [ModelSchema("parrot")]


@hookimpl
async def describe_model(model: str, model_type: ModelType) -> ModelSchema | None:
    """Describe any model but one."""
    return None if model == "dodo" else ModelSchema(model, model_type)


@hookimpl
async def count_tokens(request: ChatRequest[None]) -> TokenCount:
    """Count letters."""
    return TokenCount(len(str(request.messages[-1].content)))
