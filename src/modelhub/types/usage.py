"""What a call used and how long it took. Absent is ``None``, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelhub.types.json import JSON

__all__ = ["Timing", "TokenCount", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used, as the vendor counted it; ``None`` where it does not say, which is not 0.

    Attributes:
        input_tokens: All tokens of the prompt, those from a cache included, each counted once.
        output_tokens: All tokens generated, reasoning included.
        cached_tokens: Those of ``input_tokens`` that were read from a cache.
        cache_write_tokens: Those of ``input_tokens`` that were written to a cache.
        reasoning_tokens: Those of ``output_tokens`` that were reasoning.
        audio_input_tokens: Those of ``input_tokens`` that were sound.
        audio_output_tokens: Those of ``output_tokens`` that were sound.
        image_input_tokens: Those of ``input_tokens`` that were images.
        images: Images in the prompt.
        characters: Characters of the text that was spoken.
        seconds: Seconds of sound that were heard or spoken.
        requests: Requests that were made for it; an embedding may take several.
        estimated: Whether the figures are an estimate of ours instead of a count of the vendor's.
        raw: The vendor's own figures.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    images: int | None = None
    characters: int | None = None
    seconds: float | None = None
    requests: int = 1
    estimated: bool = False
    raw: Mapping[str, JSON] | None = field(default=None, repr=False, compare=False)

    @property
    def total_tokens(self) -> int | None:
        """Input and output together, or ``None`` where either is unknown."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        """Add two usages; a figure that either lacks is ``None`` in the sum."""

        def add(a: int | None, b: int | None) -> int | None:
            return None if a is None or b is None else a + b

        return Usage(
            input_tokens=add(self.input_tokens, other.input_tokens),
            output_tokens=add(self.output_tokens, other.output_tokens),
            cached_tokens=add(self.cached_tokens, other.cached_tokens),
            cache_write_tokens=add(self.cache_write_tokens, other.cache_write_tokens),
            reasoning_tokens=add(self.reasoning_tokens, other.reasoning_tokens),
            audio_input_tokens=add(self.audio_input_tokens, other.audio_input_tokens),
            audio_output_tokens=add(self.audio_output_tokens, other.audio_output_tokens),
            image_input_tokens=add(self.image_input_tokens, other.image_input_tokens),
            images=add(self.images, other.images),
            characters=add(self.characters, other.characters),
            seconds=None if self.seconds is None or other.seconds is None else self.seconds + other.seconds,
            requests=self.requests + other.requests,
            estimated=self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. The first three are the server's own account, where it gives one; the last two were measured here.

    Attributes:
        load: Until the model was in memory.
        prompt: Reading the prompt.
        output: Generating.
        first_content: From the attempt's start to the first content.
        total: From the attempt's start to the end.
    """

    load: float | None = None
    prompt: float | None = None
    output: float | None = None
    first_content: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens a prompt has.

    Attributes:
        tokens: The count.
        estimated: Whether it is an estimate; then ``tokens`` can be off by a third either way.
    """

    tokens: int
    estimated: bool = False
