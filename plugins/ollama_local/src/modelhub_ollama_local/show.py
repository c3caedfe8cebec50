"""From what Ollama tells of a model to a `ModelSchema`: pure reading, tolerant of what older servers leave out.

Owns the meaning of ``/api/tags``, ``/api/show`` and ``/api/ps``. Only ``/api/show`` is believed about what a model
can do: the list calls an embedding model a completing one. An empty text means that the server does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelhub.types.json import JSON
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import Feature, ModelSchema, ModelType

__all__ = ["listed_names", "loaded_windows", "model_type_of", "schema_of"]

REMOTE = "remote-model"

_TOOLS = ("tool-call", "multi-tool-call", "stream-tool-call")
_FEATURES: Mapping[str, tuple[Feature, ...]] = {"tools": _TOOLS, "vision": ("vision",), "thinking": ("reasoning",)}
_EMBEDDING_FAMILIES = ("bert", "nomic-bert", "xlm-roberta")
_VISION_FAMILIES = frozenset({"clip", "mllama"})
# The one family that takes levels of thinking, and no on and off.
_LEVEL_FAMILIES = frozenset({"gptoss", "gpt-oss"})
_LEVELS = ParameterRule("think", use_template="reasoning", options=("low", "medium", "high"))
_PLAIN_TEMPLATE = re.compile(r"\{\{-?\s*\.Prompt\s*-?\}\}")
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)
_RENDERER = re.compile(r"^RENDERER\s", re.MULTILINE)


def listed_names(tags: Any) -> list[str]:
    """Return the names in an answer of ``/api/tags``, in its order."""
    return [
        str(entry.get("model") or entry.get("name"))
        for entry in _entries(tags)
        if entry.get("model") or entry.get("name")
    ]


def loaded_windows(running: Any) -> dict[str, int]:
    """Return the context sizes of the models in an answer of ``/api/ps``, by name."""
    sizes = {str(entry.get("model") or entry.get("name")): entry.get("context_length") for entry in _entries(running)}
    return {name: size for name, size in sizes.items() if type(size) is int and size > 0}


def _entries(document: Any) -> Iterator[Mapping[str, Any]]:
    models = document.get("models") if isinstance(document, dict) else None
    for entry in models if isinstance(models, list) else ():
        if isinstance(entry, dict):
            yield entry


def model_type_of(show: Mapping[str, Any]) -> ModelType | None:
    """Return the type of the model that an answer of ``/api/show`` describes; ``None`` where it does not say."""
    if not show:
        return None
    capabilities = _capabilities(show)
    if capabilities is not None:
        return ModelType.TEXT_EMBEDDING if "embedding" in capabilities else ModelType.LLM
    family = str(_mapping(show.get("details")).get("family") or "")
    pooled = any(key.endswith(".pooling_type") for key in _mapping(show.get("model_info")))
    return ModelType.TEXT_EMBEDDING if pooled or family.startswith(_EMBEDDING_FAMILIES) else ModelType.LLM


def schema_of(
    model: str, show: Mapping[str, Any], *, window: int | None = None, model_type: ModelType | None = None
) -> ModelSchema:
    """Read an answer of ``/api/show``.

    Args:
        model: The name to go by.
        show: The answer, or ``{}`` where there is none to be had.
        window: The context that the server has loaded the model with, where it has.
        model_type: What it is to be used as; by default what it is.
    """
    kind = model_type or model_type_of(show) or ModelType.LLM
    properties = dict(_properties(show, window))
    levels = kind is ModelType.LLM and (properties.get("family") in _LEVEL_FAMILIES or "gpt-oss" in model.lower())
    if kind is ModelType.LLM:
        properties["mode"] = "completion" if _is_plain(show) else "chat"
    return ModelSchema(
        model=model,
        model_type=kind,
        label=model,
        features=_features(show) if kind is ModelType.LLM else None,
        model_properties=properties,
        parameter_rules=(_LEVELS,) if levels else None,
        fetch_from=REMOTE,
    )


def _capabilities(show: Mapping[str, Any]) -> frozenset[str] | None:
    found = show.get("capabilities")
    return frozenset(map(str, found)) if isinstance(found, list) and found else None


def _features(show: Mapping[str, Any]) -> tuple[Feature, ...] | None:
    """Return what a model can do; ``None`` where neither the server nor the model's template says."""
    capabilities = _capabilities(show)
    if capabilities is None:
        capabilities = _inferred(show)
    if capabilities is None:
        return None
    found = [
        feature for capability, features in _FEATURES.items() if capability in capabilities for feature in features
    ]
    if not show.get("remote_model"):
        found.append("structured-output")  # by grammar, whatever the model; the cloud has none
    return tuple(found)


def _inferred(show: Mapping[str, Any]) -> frozenset[str] | None:
    """Return what a server older than 0.6.4 would allow: it looks into the template and the families itself."""
    template = show.get("template")
    if not isinstance(template, str) or not template:
        return None
    families = _mapping(show.get("details")).get("families")
    seen = {"completion"}
    if ".Tools" in template:
        seen.add("tools")
    if show.get("projector_info") or _VISION_FAMILIES & set(families if isinstance(families, list) else ()):
        seen.add("vision")
    return frozenset(seen)


def _is_plain(show: Mapping[str, Any]) -> bool:
    """Whether a model continues texts and was not made for conversations.

    A bare template alone does not say so: models with a renderer of the server's own have it too.
    """
    template = show.get("template")
    bare = isinstance(template, str) and _PLAIN_TEMPLATE.fullmatch(template.strip()) is not None
    more = (_capabilities(show) or frozenset()) - {"completion", "insert"}
    return bare and not more and not show.get("remote_model") and not _RENDERER.search(str(show.get("modelfile") or ""))


def _properties(show: Mapping[str, Any], window: int | None) -> Iterator[tuple[str, JSON]]:
    information = _mapping(show.get("model_info"))
    trained = _number(information, "context_length")
    given = _NUM_CTX.search(str(show.get("parameters") or ""))
    # What the server gives the model goes before what the model could take.
    size = window or (int(given[1]) if given else None) or trained
    if size:
        yield "context_size", size
    if trained:
        yield "trained_context_size", trained
    if dimensions := _number(information, "embedding_length"):
        yield "dimensions", dimensions
    details = _mapping(show.get("details"))
    for name in ("family", "parameter_size", "quantization_level"):
        if details.get(name):
            yield name, str(details[name])
    for name in ("remote_model", "remote_host"):
        if show.get(name):
            yield name, str(show[name])
    if _capabilities(show) is not None:
        # Servers that tell capabilities (0.6.4 and later) count a prompt whole, also what was in their cache.
        yield "counts_cached_tokens", True


def _number(information: Mapping[str, Any], what: str) -> int | None:
    architecture = information.get("general.architecture")
    value = information.get(f"{architecture}.{what}")
    if value is None:
        value = next((held for key, held in information.items() if key.endswith(f".{what}")), None)
    return value if type(value) is int and value > 0 else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
