"""modelhub: one async way to every AI model, through provider plugins.

Names are loaded when they are first used (PEP 562), so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelhub.lazy import names_from

if TYPE_CHECKING:
    from collections.abc import Callable

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
        Started,
        TextDelta,
        ToolCallDelta,
        UsageUpdate,
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

__getattr__: Callable[[str], object] = names_from(
    __name__,
    {
        "errors": ("ModelHubError", "StreamInterrupted"),
        "hub.bound": ("BoundModel",),
        "hub.facade": ("ModelHub",),
        "provider.middleware": ("Middleware", "PendingCall"),
        "rules.pricing": ("sum_costs",),
        "runtime.deadlines": ("deadline",),
        "runtime.stream": ("Stream",),
        "types.cost": ("Cost", "Costs"),
        "types.deployments": ("DeploymentInfo",),
        "types.events": (
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
            "Started",
            "TextDelta",
            "ToolCallDelta",
            "UsageUpdate",
        ),
        "types.messages": (
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
        "types.plugins": ("ExtensionInfo", "PluginState", "ProviderInfo", "ValidationReport"),
        "types.records": ("Attempt", "Progress", "Warning"),
        "types.requests": (
            "ChatRequest",
            "EmbedRequest",
            "ModerationRequest",
            "Request",
            "RerankRequest",
            "SpeechRequest",
            "TranscriptionRequest",
        ),
        "types.results": (
            "ChatResult",
            "EmbedResult",
            "ModerationResult",
            "RankedDocument",
            "RerankResult",
            "Result",
            "SpeechResult",
            "TranscriptionResult",
        ),
        "types.schema": ("ModelSchema", "ModelType", "ProviderSchema"),
        "types.secret": ("Secret",),
        "types.tools": ("Tool", "ToolFunction", "tool"),
        "types.usage": ("Timing", "TokenCount", "Usage"),
    },
)

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
    "UsageUpdate",
    "UserMessage",
    "ValidationReport",
    "Warning",
    "deadline",
    "sum_costs",
    "tool",
]


def __dir__() -> list[str]:
    return __all__
