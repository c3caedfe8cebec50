"""What plugin authors import.

Everything else of modelhub's inside may change; this and `modelhub.types`, `.errors`, `.wire` do not.
"""

from modelhub.hookspecs import CONTRACT, hookimpl
from modelhub.http.seam import FilePart, HttpCall, HttpResponse
from modelhub.provider.base import ModelProvider
from modelhub.provider.context import ProviderContext
from modelhub.provider.http_forms import (
    DecodeState,
    HttpLargeLanguageModel,
    HttpModerationModel,
    HttpRerankModel,
    HttpSpeech2TextModel,
    HttpTextEmbeddingModel,
    HttpTTSModel,
)
from modelhub.provider.middleware import Middleware, PendingCall, Sink
from modelhub.provider.models import (
    LargeLanguageModel,
    ModerationModel,
    RerankModel,
    Speech2TextModel,
    TextEmbeddingModel,
    TTSModel,
)
from modelhub.rules.fold import ChatFold, folded, tool_arguments
from modelhub.rules.vendor_parameters import vendor_parameters
from modelhub.types.credential import Credential

__all__ = [
    "CONTRACT",
    "ChatFold",
    "Credential",
    "DecodeState",
    "FilePart",
    "HttpCall",
    "HttpLargeLanguageModel",
    "HttpModerationModel",
    "HttpRerankModel",
    "HttpResponse",
    "HttpSpeech2TextModel",
    "HttpTTSModel",
    "HttpTextEmbeddingModel",
    "LargeLanguageModel",
    "Middleware",
    "ModelProvider",
    "ModerationModel",
    "PendingCall",
    "ProviderContext",
    "RerankModel",
    "Sink",
    "Speech2TextModel",
    "TTSModel",
    "TextEmbeddingModel",
    "folded",
    "hookimpl",
    "tool_arguments",
    "vendor_parameters",
]
