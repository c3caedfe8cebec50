"""From parameters to the fields and options of a request, by Ollama's own names.

Owns which names exist, where each of them goes, and what the server would take in silence and get wrong. Types,
ranges and what neutral parameters are called stand in ``provider.yaml``, and are the core's to check and to say.
Only what the caller set is sent: whatever is left out is the Modelfile's to say.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md and api/types.go (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.provider import vendor_parameters
from modelhub.types.json import JSON
from modelhub.types.requests import ChatRequest, Request
from modelhub.types.results import Result
from modelhub_ollama_local.keep_alive import keep_alive

__all__ = [
    "FIELDS",
    "GENERATE_FIELDS",
    "OPTIONS",
    "RUNNER_OPTIONS",
    "Settings",
    "chat_settings",
    "vendor_settings",
]

RUNNER_OPTIONS = frozenset({"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"})
"""Options of the process that holds a model. Another value than the last call's loads the model anew."""

OPTIONS = RUNNER_OPTIONS | {
    *("num_keep", "seed", "num_predict", "top_k", "top_p", "min_p", "typical_p", "repeat_last_n"),
    *("temperature", "repeat_penalty", "presence_penalty", "frequency_penalty", "stop", "draft_num_predict"),
}
"""What goes into ``options``. The server ignores every other name there, with a line in its own log only."""

GENERATE_FIELDS = frozenset({"raw", "suffix", "template", "system"})
"""Fields that only ``/api/generate`` has."""

FIELDS = GENERATE_FIELDS | {"keep_alive", "think", "truncate", "shift", "logprobs", "top_logprobs"}
"""What stands beside ``options``."""

_MEANT = {
    "max_tokens": "num_predict",
    "max_new_tokens": "num_predict",
    "n_predict": "num_predict",
    "context_size": "num_ctx",
    "context_length": "num_ctx",
    "n_ctx": "num_ctx",
    "format": "response_format (a parameter of the call)",
    "reasoning": "think",
}
_REMOVED = frozenset({"mirostat", "mirostat_eta", "mirostat_tau", "tfs_z"})
_LEVELS = ("low", "medium", "high", "max")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the caller set, where it goes.

    Attributes:
        fields: Beside ``options``.
        options: In it.
    """

    fields: Mapping[str, JSON]
    options: Mapping[str, JSON]


def chat_settings(request: ChatRequest[None]) -> Settings:
    """Read the parameters of a conversation; a vendor option goes before the neutral parameter it equals.

    Raises:
        BadRequest: An option does not exist, or has a value that the server would misread.
        UnsupportedFeature: Ollama has nothing like the parameter.
    """
    known = FIELDS | OPTIONS
    native = vendor_parameters(request)
    if native.get("parallel_tool_calls") is True:
        del native["parallel_tool_calls"]  # what it does anyway
    for name in native:
        if name in request.parameters and name not in known:
            raise UnsupportedFeature(f"Ollama has nothing like {name!r}", parameter=name, remedy="leave it out")
    return _split(_checked(native, known))


def vendor_settings(request: Request[Result], known: frozenset[str]) -> Settings:
    """Read the vendor options of a request that has no other parameters.

    Raises:
        BadRequest: An option does not exist there, or has a value that the server would misread.
    """
    return _split(_checked(vendor_parameters(request), known))


def _checked(native: dict[str, JSON], known: frozenset[str]) -> dict[str, JSON]:
    for name in native:
        if name not in known:
            raise _unknown(name, known)
    return native


def _unknown(name: str, known: frozenset[str]) -> BadRequest:
    if name in _REMOVED:
        return BadRequest(f"Ollama no longer has the option {name!r}", parameter=name, remedy="leave it out")
    near = [_MEANT[name]] if name in _MEANT else get_close_matches(name, sorted(known), n=2)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"options here are {', '.join(sorted(known))}"
    return BadRequest(f"Ollama has no option {name!r} here", parameter=name, remedy=remedy)


def _split(native: dict[str, JSON]) -> Settings:
    if "num_predict" in native:
        _check_limit(native["num_predict"])
    if "keep_alive" in native:
        native["keep_alive"] = keep_alive(native["keep_alive"])
    if "think" in native:
        _check_think(native["think"])
    if "stop" in native:
        native["stop"] = _texts(native["stop"])
    if native.get("top_logprobs") and "logprobs" not in native:
        native["logprobs"] = True  # the server gives none of them otherwise
    return Settings(
        fields={name: value for name, value in native.items() if name in FIELDS},
        options={name: value for name, value in native.items() if name in OPTIONS},
    )


def _check_limit(value: JSON) -> None:
    if value == 0:
        message = "num_predict is 0, which Ollama takes for no limit at all"
        raise BadRequest(message, parameter="num_predict", remedy="give 1 or more, or -1 for no limit")


def _check_think(value: JSON) -> None:
    if not isinstance(value, bool) and value not in _LEVELS:
        message = f"think is {value!r}: it must be True, False or one of {', '.join(_LEVELS)}"
        raise BadRequest(message, parameter="think")


def _texts(value: JSON) -> list[JSON]:
    # The server refuses a bare text, with a status that blames itself.
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence) and all(isinstance(text, str) for text in value):
        return list(value)
    raise BadRequest(f"stop is {value!r}: it must be a text or a list of texts", parameter="stop")
