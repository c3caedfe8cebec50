"""A provider for the tests of the command line, installed like any other; what it does is the model's name."""

import itertools
import json
from collections.abc import AsyncGenerator, Mapping, Sequence

import anyio

from modelhub.errors import AuthenticationFailed, ConnectionLost, CredentialsInvalid, Overloaded
from modelhub.provider import LargeLanguageModel, ModelProvider, ProviderContext, TextEmbeddingModel
from modelhub.types.events import ChatEvent, Finish, FinishReason, Notice, ReasoningDelta, Started, TextDelta
from modelhub.types.json import JSON
from modelhub.types.messages import TextPart
from modelhub.types.records import Progress, Warning
from modelhub.types.requests import ChatRequest, EmbedRequest
from modelhub.types.results import EmbedResult
from modelhub.types.usage import Timing, Usage


def said(request: ChatRequest[None]) -> str:
    """Return everything that was asked, as the provider sees it, in one line."""
    parts = []
    for message in request.messages:
        content = message.content if isinstance(message.content, str) else list(message.parts)
        if not isinstance(content, str):
            content = " ".join(part.text if isinstance(part, TextPart) else f"<{part.mime}>" for part in content)
        parts.append(f"{message.role}: {content}")
    return " | ".join(parts)


SCRIPTS: Mapping[str, Sequence[ChatEvent | Exception]] = {
    "shaped": [TextDelta(0, '{"name": '), TextDelta(0, '"Siti", "age": 34}')],
    "unshaped": [TextDelta(0, "no JSON at all")],
    "escapes": [TextDelta(0, "\x1b]0;owned\x07red\x1b[31m"), TextDelta(0, "\x00!")],
    "lines": [TextDelta(0, "one\ntwo\n")],
    "silent": [],
    "overloaded": [Overloaded("no room", retry_after=3)],
    "bug": [RuntimeError("an accident\nof two lines")],
    "breaks": [TextDelta(0, "half an "), ConnectionLost("the line went dead", sent=True)],
    "thinks": [ReasoningDelta(0, "hm, let me see"), TextDelta(1, "42")],
    "cut": [TextDelta(0, "and then"), Finish(FinishReason.LENGTH)],
    "warns": [Notice(Warning("odd", "this is odd")), TextDelta(0, "fine")],
}


class AcmeLLM(LargeLanguageModel):
    """Answers by the model's name: from a script, with what it was asked, slowly, or for ever."""

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Answer."""
        yield Started("answer-1", request.name)
        for step in SCRIPTS.get(request.name, ()):
            if isinstance(step, Exception):
                raise step
            yield step
            if isinstance(step, Finish):
                return
        words = 0
        async for word in self.words(request, context):
            words += 1
            yield TextDelta(0, word)
        yield Finish(FinishReason.STOP, usage=Usage(7, words, cached_tokens=2), timing=Timing(output=0.5))

    async def words(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[str, None]:
        """Yield what no script says."""
        match request.name:
            case "echo":
                yield said(request)
            case "parameters":
                yield json.dumps({**request.parameters, **request.options}, sort_keys=True)
            case "leaky":
                raise AuthenticationFailed(f"the key {context.credential.secret('api_key').reveal()} is wrong")
            case "loads":
                for completed in (0, 50, 100):
                    context.progress(Progress("loading loads", completed, 100))
                    await anyio.sleep(0.4)
                yield "loaded"
            case "endless":
                for number in itertools.count(1):
                    yield f"word{number} "
                    await anyio.sleep(0.02)


class AcmeEmbedding(TextEmbeddingModel):
    """Turns a text into its length and its vowels."""

    async def invoke(self, request: EmbedRequest, context: ProviderContext) -> EmbedResult:
        """Count."""
        vectors = [[float(len(text)), *(float(text.count(vowel)) for vowel in "aeiou")] for text in request.texts]
        return EmbedResult(vectors=vectors, usage=Usage(input_tokens=len(request.texts)))


class AcmeProvider(ModelProvider):
    """Serves both."""

    contract = 1
    llm = AcmeLLM
    text_embedding = AcmeEmbedding

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Take every key but the wrong one."""
        context.progress(Progress("server reached"))
        if context.credential.secret("api_key").reveal() == "wrong-key":
            raise CredentialsInvalid("it is refused", fields={"api_key": "it is refused"}, remedy="get another one")

    async def operate(
        self, name: str, arguments: Mapping[str, JSON], context: ProviderContext
    ) -> AsyncGenerator[Progress, None]:
        """Pretend to fetch a model."""
        if name == "fail":
            yield Progress("starting")
            raise Overloaded("the registry is busy")
        for completed in (0, 500, 1000):
            yield Progress("layer one", completed, 1000)
        yield Progress(f"{arguments['model']} is ready")
