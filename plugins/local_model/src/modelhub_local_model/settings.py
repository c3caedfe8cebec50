"""How a model is loaded: the values that the application sets.

Owns the settings and what they mean for one model file. It does not own how they reach the engine (`native`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from modelhub.errors import ConfigurationError
from modelhub_local_model.gguf import GgufHeader

__all__ = ["EngineSettings"]

_DEFAULT_CONTEXT: Final = 8192


@final
@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a model is loaded. Equal settings for one file share one engine.

    Attributes:
        context_size: Tokens of prompt and answer together that each answer may take; ``None``: what the model
            was trained for, 8192 at most. Memory grows with ``context_size`` × ``parallel``.
        parallel: Answers that are written at the same time; more wait for their turn.
        max_waiting: Answers that may wait; more are refused.
        threads: Processor threads; ``None``: one for each processor core that this process may use.
        chat_template: A Jinja template in place of the model's own.
        verbosity: What the engine may write to the standard error stream: -1 nothing, 3 what llama-server
            shows.
    """

    context_size: int | None = None
    parallel: int = 2
    max_waiting: int = 256
    threads: int | None = None
    chat_template: str | None = None
    verbosity: int = -1

    def __post_init__(self) -> None:
        for name in ("context_size", "parallel", "max_waiting", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} is {value}", remedy=f"set {name} to 1 or more")

    def context_for(self, header: GgufHeader) -> int:
        """Tokens that each answer may take with this model.

        Raises:
            ConfigurationError: More was asked for than the model was trained for.
        """
        trained = header.context_length
        if self.context_size is None:
            return min(trained or _DEFAULT_CONTEXT, _DEFAULT_CONTEXT)
        if trained is not None and self.context_size > trained:
            raise ConfigurationError(
                f"context_size is {self.context_size}; {header.path.name} was trained for {trained} tokens",
                remedy=f"set context_size to {trained} or less",
            )
        return self.context_size
