"""The other five kinds of models."""

from typing import Any

from modelhub import EmbedResult, ModerationResult, RankedDocument, RerankResult, TranscriptionResult, Usage
from modelhub.provider import (
    Credential,
    FilePart,
    HttpCall,
    HttpModerationModel,
    HttpRerankModel,
    HttpResponse,
    HttpSpeech2TextModel,
    HttpTextEmbeddingModel,
    HttpTTSModel,
)
from modelhub.types.requests import (
    EmbedRequest,
    ModerationRequest,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)


class AcmeEmbedding(HttpTextEmbeddingModel):
    """Vectors."""

    max_batch = 3

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:
        """Build the request for one batch."""
        return HttpCall("/v1/embed", json={"texts": list(request.texts), "type": request.input_type})

    def decode(self, document: Any, request: EmbedRequest) -> EmbedResult:
        """Read the vectors."""
        return EmbedResult(vectors=document["vectors"], usage=Usage(document["tokens"], 0))


class AcmeRerank(HttpRerankModel):
    """Order."""

    def encode(self, request: RerankRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/v1/rerank", json={"query": request.query, "documents": list(request.documents)})

    def decode(self, document: Any, request: RerankRequest) -> RerankResult:
        """Read the scores, in the order of the documents."""
        scores = enumerate(document["scores"])
        return RerankResult(documents=tuple(RankedDocument(place, score) for place, score in scores))


class AcmeTranscription(HttpSpeech2TextModel):
    """Speech to text, as a form with a file."""

    def encode(self, request: TranscriptionRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        form = {"model": request.name, "language": request.language or ""}
        return HttpCall("/v1/transcribe", form=form, files=[FilePart("file", request.filename, request.audio)])

    def decode(self, response: HttpResponse, request: TranscriptionRequest) -> TranscriptionResult:
        """Read the plain text."""
        return TranscriptionResult(text=response.body.decode(), language=response.headers.get("x-language"))


class AcmeSpeech(HttpTTSModel):
    """Text to speech."""

    def encode(self, request: SpeechRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/v1/speak", json={"text": request.text, "voice": request.voice or "coyote"})


class AcmeModeration(HttpModerationModel):
    """Judgement."""

    def encode(self, request: ModerationRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/v1/moderate", json={"text": request.text})

    def decode(self, document: Any, request: ModerationRequest) -> ModerationResult:
        """Read the verdict."""
        scores = document["scores"]
        flagged = {name: score > document["threshold"] for name, score in scores.items()}
        return ModerationResult(flagged=any(flagged.values()), categories=flagged, scores=scores)
