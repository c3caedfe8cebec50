"""A provider's manifest: what it serves, what it promises, and the keys that only make sense together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelhub.hookspecs import CONTRACT, CONTRACTS
from modelhub.manifest.limits import LIMITS, limit_fault, probe_fault
from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.forms import endpoint_like, forms
from modelhub.manifest.lint.labels import labels
from modelhub.manifest.lint.layout import TYPES, kind_of
from modelhub.manifest.lint.models import characteristics, unserved
from modelhub.manifest.lint.nodes import Node, YamlFile, text_of
from modelhub.manifest.lint.shape import keys_of, labelled, misshapen, shown, unknown_key
from modelhub.manifest.lint.unread import unread
from modelhub.manifest.lint.values import duplicates
from modelhub.rules.names import did_you_mean
from modelhub.types.schema import ProviderSchema

__all__ = ["METHODS", "own_server", "provider"]

METHODS = ("predefined-model", "customizable-model")
_PHASES = ("connect", "first_token", "idle")
_WRITTEN_IN_CODE = {"preset"}
_APART = frozenset({"configurator", "supported_model_types", "configurate_methods", "contract", "models", "position"})


def provider(file: YamlFile, *, dify: bool = False) -> Iterator[Defect]:
    """Yield what is wrong with a provider's manifest, by itself.

    Args:
        file: The manifest.
        dify: Whether it lies in a Dify plugin, which has none of our keys.
    """
    found = list(_provider(file.root, dify=dify))
    yield from found
    yield from unread(ProviderSchema, file, found)


def _provider(root: Node, *, dify: bool) -> Iterator[Defect]:
    yield from misshapen(ProviderSchema, root, apart=_APART)
    yield from _types(root)
    yield from _methods(root)
    yield from _contract(root, dify=dify)
    yield from _help(root)
    yield from _timeouts(root)
    yield from _limits(root)
    yield from _operations(root)
    yield from _rows(root)
    for key, item in root.get("defaults").entries():
        if kind_of(key) not in TYPES:
            remedy = did_you_mean(key, TYPES, what="model types")
            yield item.defect("unknown-model-type", f"defaults: there is no model type {key!r}", remedy)
        yield from characteristics(item, kind_of(key))
    yield from forms(root)
    yield from _labels(root)


def _types(root: Node) -> Iterator[Defect]:
    types = root.get("supported_model_types")
    if not types.texts():
        message = "supported_model_types is missing: the provider serves nothing"
        yield types.defect("types-missing", message, f"add those it serves: {', '.join(TYPES)}")
    for item in types.items() if isinstance(types.value, list) else [types]:
        if item.value is not None and kind_of(item.text) not in TYPES:
            yield unserved(item, "supported_model_types")


def _methods(root: Node) -> Iterator[Defect]:
    methods, old = root.get("configurate_methods"), root.get("configurator")
    what_they_are = "predefined-model for models that files describe, customizable-model where users name their own"
    if not methods.texts():
        yield methods.defect("methods-missing", "configurate_methods is missing", f"add {what_they_are}")
    for item in methods.items() if isinstance(methods.value, list) else [methods]:
        if item.text and item.text not in METHODS:
            lists = "models that a vendor lists need no method: the plugin's list_models gives them"
            remedy = lists if item.text == "fetch-from-remote" else f"write {what_they_are}"
            yield item.defect("unknown-value", f"configurate_methods: {item.text!r} is not known", remedy)
    if root.has("configurator"):
        message = "nobody reads configurator: the form is provider_credential_schema"
        remedy = "move its fields to provider_credential_schema.credential_form_schemas, each with variable for name"
        yield old.defect("configurator", message, remedy)


def _contract(root: Node, *, dify: bool) -> Iterator[Defect]:
    contract = root.get("contract")
    if contract.value is None and not dify:
        message = "it does not say which contract it was written for"
        yield contract.defect("contract-missing", message, f"add contract: {CONTRACT}")
    elif contract.value is not None and contract.whole not in CONTRACTS:
        message = f"contract {shown(contract)} is none that this modelhub serves"
        yield contract.defect("contract-unknown", message, f"write {CONTRACT}, or upgrade modelhub-core")


def _help(root: Node) -> Iterator[Defect]:
    url = root.at("help", "url")
    for item in [item for _, item in url.entries()] if isinstance(url.value, Mapping) else [url]:
        if item.text and not item.text.startswith(("https://", "http://")):
            message = f"help: {item.text!r} is no address of a page"
            yield item.defect("help-url", message, "write one that begins with https://")


def _timeouts(root: Node) -> Iterator[Defect]:
    for key, item in root.get("timeouts").entries():
        if key not in _PHASES:
            remedy = did_you_mean(key, _PHASES, what="phases")
            yield item.defect("unknown-timeout", f"timeouts: there is no phase {key!r}", remedy)
        elif item.number is not None and not (item.number.is_finite() and item.number > 0):
            message = f"timeouts: {key}: {item.text} is no number of seconds"
            yield item.defect("wrong-type", message, "write a number above 0")


def _limits(root: Node) -> Iterator[Defect]:
    for key, item in root.get("limits").entries():
        fault = limit_fault(key, float(item.number)) if item.number is not None else None
        if key not in LIMITS:
            remedy = did_you_mean(key, LIMITS, what="limits")
            yield item.defect("unknown-limit", f"limits: there is no limit {key!r}", remedy)
        elif fault is not None:
            yield item.defect("wrong-type", f"limits: {key} {fault}, not {item.text}", "write such a number, or none")
    probe = root.get("probe")
    fault = probe_fault(probe.text) if probe.text else None
    if fault is not None:
        yield probe.defect("probe", f"probe {fault}", "write a path that is cheap to get, such as /api/version")


def _operations(root: Node) -> Iterator[Defect]:
    for name, item in root.get("operations").entries():
        if not item.has("label"):
            message = f"the operation {name!r} has no label: people see its name"
            yield item.defect("operation-unlabelled", message, "add label: {en_US: …, id_ID: …}")


def _rows(root: Node) -> Iterator[Defect]:
    """Yield what is wrong with the rows of a family."""
    rows = list(root.get("providers").mappings())
    fields = {
        field.get("variable").text: field
        for field in root.at("provider_credential_schema", "credential_form_schemas").mappings()
    }
    known = {*keys_of(ProviderSchema), *_WRITTEN_IN_CODE}
    for row in rows:
        if not row.get("provider").text:
            yield row.defect("row-without-id", "a row of the family has no id", "add provider: <id>")
        for key, item in row.entries():
            if key not in known:
                yield unknown_key(key, item, known)
        yield from _limits(row)
        yield from _preset(row.get("preset"), fields)
    own = [(row.get("provider").text, row) for row in rows if row.get("provider").text]
    named = [(root.get("provider").text, root), *own]
    for name, row, first in duplicates(named):
        message = f"the id {name!r} is taken already, in line {first.line}"
        yield row.defect("duplicate-row", message, "give it an id of its own")


def _preset(preset: Node, fields: Mapping[str, Node]) -> Iterator[Defect]:
    for name, item in preset.entries():
        if name not in fields:
            remedy = did_you_mean(name, fields, what="fields")
            yield item.defect("unknown-key", f"preset: the form has no field {name!r}", remedy)
        elif fields[name].get("type").text == "secret-input" or fields[name].get("role").text in {"secret", "headers"}:
            message = f"preset: the field {name!r} is secret, and a preset can be read by everybody"
            yield item.defect("secret-default", message, "remove it: users give it as a credential")


def _labels(root: Node) -> Iterator[Defect]:
    if not root.has("label"):
        yield root.get("label").defect("label-missing", "the provider has no label", "add label: {en_US: …, id_ID: …}")
    for schema in ("provider_credential_schema", "model_credential_schema"):
        for field in root.at(schema, "credential_form_schemas").mappings():
            if not field.has("label"):
                name = field.get("variable").text
                message = f"field {name!r} has no label: people see its variable"
                yield field.defect("label-missing", message, "add label: {en_US: …, id_ID: …}")
    yield from labels(labelled(ProviderSchema, root))


def own_server(root: Node) -> Iterator[Defect]:
    """Yield whether users name a server of their own, whose models no file can know."""
    methods = root.get("configurate_methods")
    for field in root.at("provider_credential_schema", "credential_form_schemas").mappings():
        is_endpoint = endpoint_like(field) or field.get("role").text == "endpoint"
        local = "localhost" in (text_of(field.get("default").value) or "") or not field.has("default")
        if is_endpoint and field.get("required").flag is not False and local and METHODS[1] not in methods.texts():
            message = "users name a server of their own, and can only use the models that files here describe"
            yield methods.defect("own-server", message, "add customizable-model, or list models in code")
            return
