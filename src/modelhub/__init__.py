"""modelhub: one async way to every AI model, through provider plugins.

Names are loaded when they are first used (PEP 562), so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelhub.errors import ModelHubError, StreamInterrupted
    from modelhub.hub.bound import BoundModel
    from modelhub.hub.facade import ModelHub
    from modelhub.provider.middleware import Middleware, PendingCall
    from modelhub.rules.pricing import sum_costs
    from modelhub.runtime.deadlines import deadline
    from modelhub.runtime.stream import Stream
    from modelhub.types.cost import Cost, Costs
    from modelhub.types.deployments import DeploymentInfo
    from modelhub.types.events import (
        AudioDelta,
        AudioEvent,
        ChatEvent,
        Citation,
        Event,
        Finish,
        FinishReason,
        MediaDelta,
        Notice,
        ReasoningDelta,
        Reset,
        UsageUpdate,
        Started,
        TextDelta,
        ToolCallDelta,
    )
    from modelhub.types.messages import (
        AssistantMessage,
        MediaPart,
        Message,
        ReasoningPart,
        SystemMessage,
        TextPart,
        ToolCall,
        ToolMessage,
        UserMessage,
    )
    from modelhub.types.plugins import ExtensionInfo, PluginState, ProviderInfo, ValidationReport
    from modelhub.types.records import Attempt, Progress, Warning
    from modelhub.types.requests import (
        ChatRequest,
        EmbedRequest,
        ModerationRequest,
        Request,
        RerankRequest,
        SpeechRequest,
        TranscriptionRequest,
    )
    from modelhub.types.results import (
        ChatResult,
        EmbedResult,
        ModerationResult,
        RankedDocument,
        RerankResult,
        Result,
        SpeechResult,
        TranscriptionResult,
    )
    from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema
    from modelhub.types.secret import Secret
    from modelhub.types.tools import Tool, ToolFunction, tool
    from modelhub.types.usage import Timing, TokenCount, Usage

_PLACES = {
    "modelhub.errors": ("ModelHubError", "StreamInterrupted"),
    "modelhub.hub.bound": ("BoundModel",),
    "modelhub.hub.facade": ("ModelHub",),
    "modelhub.provider.middleware": ("Middleware", "PendingCall"),
    "modelhub.rules.pricing": ("sum_costs",),
    "modelhub.runtime.deadlines": ("deadline",),
    "modelhub.runtime.stream": ("Stream",),
    "modelhub.types.cost": ("Cost", "Costs"),
    "modelhub.types.deployments": ("DeploymentInfo",),
    "modelhub.types.events": (
        "AudioDelta",
        "AudioEvent",
        "ChatEvent",
        "Citation",
        "Event",
        "Finish",
        "FinishReason",
        "MediaDelta",
        "Notice",
        "ReasoningDelta",
        "Reset",
    "UsageUpdate",
        "UsageUpdate",
        "Started",
        "TextDelta",
        "ToolCallDelta",
    ),
    "modelhub.types.messages": (
        "AssistantMessage",
        "MediaPart",
        "Message",
        "ReasoningPart",
        "SystemMessage",
        "TextPart",
        "ToolCall",
        "ToolMessage",
        "UserMessage",
    ),
    "modelhub.types.plugins": ("ExtensionInfo", "PluginState", "ProviderInfo", "ValidationReport"),
    "modelhub.types.records": ("Attempt", "Progress", "Warning"),
    "modelhub.types.requests": (
        "ChatRequest",
        "EmbedRequest",
        "ModerationRequest",
        "Request",
        "RerankRequest",
        "SpeechRequest",
        "TranscriptionRequest",
    ),
    "modelhub.types.results": (
        "ChatResult",
        "EmbedResult",
        "ModerationResult",
        "RankedDocument",
        "RerankResult",
        "Result",
        "SpeechResult",
        "TranscriptionResult",
    ),
    "modelhub.types.schema": ("ModelSchema", "ModelType", "ProviderSchema"),
    "modelhub.types.secret": ("Secret",),
    "modelhub.types.tools": ("Tool", "ToolFunction", "tool"),
    "modelhub.types.usage": ("Timing", "TokenCount", "Usage"),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "AssistantMessage",
    "Attempt",
    "AudioDelta",
    "AudioEvent",
    "BoundModel",
    "ChatEvent",
    "ChatRequest",
    "ChatResult",
    "Citation",
    "Cost",
    "Costs",
    "DeploymentInfo",
    "EmbedRequest",
    "EmbedResult",
    "Event",
    "ExtensionInfo",
    "Finish",
    "FinishReason",
    "MediaDelta",
    "MediaPart",
    "Message",
    "Middleware",
    "ModelHub",
    "ModelHubError",
    "ModelSchema",
    "ModelType",
    "ModerationRequest",
    "ModerationResult",
    "Notice",
    "PendingCall",
    "PluginState",
    "Progress",
    "ProviderInfo",
    "ProviderSchema",
    "RankedDocument",
    "ReasoningDelta",
    "ReasoningPart",
    "Request",
    "RerankRequest",
    "RerankResult",
    "Reset",
    "Result",
    "Secret",
    "SpeechRequest",
    "SpeechResult",
    "Started",
    "Stream",
    "StreamInterrupted",
    "SystemMessage",
    "TextDelta",
    "TextPart",
    "Timing",
    "TokenCount",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolFunction",
    "ToolMessage",
    "TranscriptionRequest",
    "TranscriptionResult",
    "Usage",
    "UserMessage",
    "ValidationReport",
    "Warning",
    "deadline",
    "sum_costs",
    "tool",
]


def __getattr__(name: str) -> object:
    place = _PLACE_OF.get(name)
    if place is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(place), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
