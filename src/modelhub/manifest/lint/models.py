"""One model's YAML: what it can do, how much it takes, and whether it is still served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.labels import labels
from modelhub.manifest.lint.layout import TYPES, kind_of
from modelhub.manifest.lint.nodes import Node, YamlFile
from modelhub.manifest.lint.parameters import parameters
from modelhub.manifest.lint.pricing import prices
from modelhub.manifest.lint.shape import labelled, misshapen
from modelhub.manifest.lint.unread import unread
from modelhub.rules.names import did_you_mean
from modelhub.types.schema import ModelSchema

__all__ = ["characteristics", "model", "unserved"]

_FEATURES = (
    *("tool-call", "multi-tool-call", "stream-tool-call", "agent-thought", "vision", "audio", "video", "document"),
    *("structured-output", "reasoning", "polling"),
)
_OF_ANY = frozenset(TYPES)
_SPEECH, _EMBEDDING = frozenset({"tts"}), frozenset({"text-embedding", "rerank", "moderation"})
_PROPERTIES: Mapping[str, frozenset[str]] = {
    "mode": frozenset({"llm"}),
    "family": frozenset({"llm"}),
    "prefill": frozenset({"llm"}),
    "context_size": _OF_ANY,
    "trained_context_size": _OF_ANY,
    "dimensions": frozenset({"text-embedding"}),
    "max_chunks": _EMBEDDING,
    "max_characters_per_chunk": _EMBEDDING,
    "file_upload_limit": frozenset({"speech2text"}),
    "supported_file_extensions": frozenset({"speech2text"}),
    "default_voice": _SPEECH,
    "voices": _SPEECH,
    "word_limit": _SPEECH,
    "audio_type": _SPEECH,
    "max_workers": _SPEECH,
}
"""The properties that somebody reads, with the model types that have them."""

_ELSEWHERE = {"text2img", "multimodal-embedding", "multimodal-rerank"}
_SOURCES = ("predefined-model", "customizable-model", "remote-model")
_APART = frozenset({"pricing", "model_type"})


def unserved(node: Node, what: str) -> Defect:
    """Make the defect of a model type that is none."""
    if node.text in _ELSEWHERE:
        message = f"{what}: models of the type {node.text!r} are left out: nothing serves them here"
        return node.defect("unknown-model-type", message, f"remove it; what is served: {', '.join(TYPES)}")
    remedy = did_you_mean(node.text, TYPES, what="model types")
    return node.defect("unknown-model-type", f"{what}: there is no model type {node.text!r}", remedy)


def model(file: YamlFile, folder_kind: str = "") -> Iterator[Defect]:
    """Yield what is wrong with a model's file.

    Args:
        file: The file.
        folder_kind: The type that its folder says; empty where it says none.
    """
    found = list(_model(file.root, folder_kind))
    yield from found
    yield from unread(ModelSchema, file, found)


def _model(root: Node, folder_kind: str) -> Iterator[Defect]:
    yield from misshapen(ModelSchema, root, apart=_APART)
    written = root.get("model_type")
    kind = kind_of(written.text) if written.value is not None else folder_kind
    if written.value is not None and kind not in TYPES:
        kind = folder_kind
        yield unserved(written, "model_type")
    elif written.value is not None and folder_kind and kind != folder_kind:
        message = f"model_type is {kind!r}, and its folder makes it {folder_kind!r}"
        yield written.defect("model-type-mismatch", message, "move the file, or mend model_type")
    yield from characteristics(root, kind)
    yield from prices(root.get("pricing"), kind)
    yield from _lifetime(root)
    yield from labels(labelled(ModelSchema, root))


def characteristics(root: Node, kind: str) -> Iterator[Defect]:
    """Yield what is wrong with features, properties and parameters, of a model or of all models of a type."""
    for item in root.get("features").items():
        if item.text and item.text not in _FEATURES:
            remedy = did_you_mean(item.text, _FEATURES, what="features")
            yield item.defect("unknown-feature", f"nobody asks for the feature {item.text!r}", remedy)
    for key, item in root.get("model_properties").entries():
        yield from _property(key, item, kind)
    source = root.get("fetch_from")
    if source.text and source.text not in _SOURCES:
        remedy = did_you_mean(source.text, _SOURCES, what="sources")
        yield source.defect("unknown-value", f"fetch_from: {source.text!r} is not known", remedy)
    yield from parameters(root.get("parameter_rules"))


def _property(key: str, node: Node, kind: str) -> Iterator[Defect]:
    if key not in _PROPERTIES:
        remedy = did_you_mean(key, _PROPERTIES, what="properties")
        yield node.defect("unknown-property", f"only the plugin's own code can read the property {key!r}", remedy)
    elif kind in TYPES and kind not in _PROPERTIES[key]:
        message = f"the property {key!r} means nothing for models of the type {kind}"
        kinds = ", ".join(sorted(_PROPERTIES[key]))
        yield node.defect("unknown-property", message, f"remove it; it is for {kinds}")
    if key in {"context_size", "trained_context_size"} and node.value is not None:
        if node.whole is None or node.whole <= 0:
            shown = repr(node.text) if node.text else "this"
            yield node.defect("context-size", f"{key}: {shown} is no number of tokens", "write a whole number above 0")
    elif key == "mode" and node.text not in {"chat", "completion"} and node.value is not None:
        yield node.defect("unknown-value", f"mode: {node.text!r} is not known", "write chat or completion")


def _lifetime(root: Node) -> Iterator[Defect]:
    deprecated, deprecation = root.get("deprecated"), root.get("deprecation")
    name = root.get("model").text
    if deprecation.value is not None and deprecated.flag is not True:
        message = f"{name or 'the model'} has a deprecation and is not marked as deprecated"
        yield deprecation.defect(
            "deprecation", message, "add deprecated: true, which other readers of the file look for"
        )
    if deprecated.flag and not deprecation.get("replacement").text:
        message = f"{name or 'the model'} is deprecated, and nothing says what to use instead"
        yield deprecated.defect("deprecated-replacement", message, "add deprecation: {replacement: …}")
