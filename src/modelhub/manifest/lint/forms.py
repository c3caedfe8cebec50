"""Credential forms: variables, options, defaults, what hangs on what, and that no secret is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.conditions import Variables, conditions, cycles, never
from modelhub.manifest.lint.nodes import Node, text_of
from modelhub.manifest.lint.values import Range

__all__ = ["endpoint_like", "forms"]

_CHOOSING = {"select", "radio", "multi-select"}
_TYPED = {"", "text-input", "textarea", "url", "json", "key-value", "file"}
_SECRET = re.compile(
    r"(?!(?:max|min|num|count)_)(.*_)?(token|secret|password|passwd|passphrase|apikey|"
    r"(api|secret|access|private|app|auth|account|signing|service_account)_?key)",
    re.IGNORECASE,
)
_ENDPOINT = re.compile(r"(.*_)?(base_?url|endpoint(_url)?|api_base|api_url|server_url|host_url)", re.IGNORECASE)
_FIELDS = "credential_form_schemas"


def forms(root: Node) -> Iterator[Defect]:
    """Yield what is wrong with the forms of a provider.

    Args:
        root: The provider's manifest.
    """
    provider = list(root.at("provider_credential_schema", _FIELDS).mappings())
    model = list(root.at("model_credential_schema", _FIELDS).mappings())
    yield from _form(provider, [])
    yield from _form(model, provider)


def _form(fields: Sequence[Node], inherited: Sequence[Node]) -> Iterator[Defect]:
    by_variable: dict[str, list[Node]] = {}
    for field in (*fields, *inherited):
        if field.get("variable").text:
            by_variable.setdefault(field.get("variable").text, []).append(field)
    variables = Variables.of({name: _choices(nodes) for name, nodes in by_variable.items()}, "fields")
    has_endpoint = any(field.get("role").text == "endpoint" for field in (*fields, *inherited))
    for field in fields:
        yield from _field(field, variables)
        yield from _secrets(field)
    if not has_endpoint:
        yield from _endpoint(fields)
    for name in by_variable:
        yield from _declared_twice(name, [field for field in fields if field.get("variable").text == name])
    own = {name: [node for node in nodes if node in fields] for name, nodes in by_variable.items()}
    yield from cycles({name: nodes for name, nodes in own.items() if nodes})


def _choices(fields: Sequence[Node]) -> frozenset[str] | None:
    """Return the values that a variable can have in a form; ``None`` for any."""
    found: set[str] = set()
    for field in fields:
        kind = field.get("type").text
        if kind == "switch":
            found |= {"true", "false"}
        elif kind in _CHOOSING:
            found |= {text for text in (_value(option) for option in field.get("options").items()) if text is not None}
        else:
            return None
    return frozenset(found)


def _value(option: Node) -> str | None:
    return text_of(option.get("value").value) if isinstance(option.value, Mapping) else text_of(option.value)


def _name(field: Node) -> str:
    return f"field {field.get('variable').text!r}" if field.get("variable").text else "the field"


def _field(field: Node, variables: Variables) -> Iterator[Defect]:
    yield from conditions(field, variables, own=field.get("variable").text)
    yield from _options(field, variables)
    least, most = field.get("min").number, field.get("max").number
    span = Range(_name(field), least, most)
    yield from span.upside_down(field)
    if field.has("default") and field.get("default").value != "":
        yield from _default(field, field.get("default"), span)
    elif field.get("required").flag is not False and never(field, variables):
        message = f"{_name(field)} is required and can never be shown"
        yield field.defect("never-shown", message, "mend its show_on, or give it a default")


def _options(field: Node, variables: Variables) -> Iterator[Defect]:
    options = list(field.get("options").items())
    if field.get("type").text in _CHOOSING and not options:
        message = f"{_name(field)} has no options to choose from"
        yield field.defect("options-missing", message, "add options, each with value and label")
    always: set[str] = set()
    for option in options:
        value = _value(option)
        if value is not None and value in always:
            message = f"{_name(field)} has the option {value!r} twice"
            yield option.defect("duplicate-option", message, "remove one, or give both a show_on")
        if value is not None and not option.has("show_on"):
            always.add(value)
        yield from conditions(option, variables)


def _default(field: Node, default: Node, span: Range) -> Iterator[Defect]:
    kind = field.get("type").text or "text-input"
    wanted = _misfit(kind, default)
    if wanted:
        shown = repr(default.text) if default.text else f"a {type(default.value).__name__}"
        message = f"{_name(field)}: the default {shown} is not {wanted}"
        yield default.defect("default-type", message, f"write {wanted}")
        return
    if kind == "number":
        yield from span.excludes(default)
    if kind in _CHOOSING:
        yield from _not_an_option(field, default)
    longest = field.get("max_length").number
    if longest and longest > 0 and len(default.text) > longest:
        message = f"{_name(field)}: the default has {len(default.text)} characters, max_length allows {longest}"
        yield default.defect("default-length", message, "shorten it, or raise max_length")


def _misfit(kind: str, default: Node) -> str:
    """Return what the default of a field must be, where it is something else."""
    scalar = text_of(default.value) is not None
    match kind:
        case "number":
            return "" if default.number is not None and default.number.is_finite() else "a number"
        case "switch":
            return "" if default.flag is not None else "true or false"
        case "url":
            return "" if re.match("https?://", default.text) else "an address that begins with http:// or https://"
        case "key-value":
            return "" if isinstance(default.value, Mapping) else "a mapping from names to texts"
        case "multi-select":
            return "" if scalar or isinstance(default.value, list) else "a list of options' values"
        case "json":
            return ""
        case _:
            return "" if scalar else "a text"


def _not_an_option(field: Node, default: Node) -> Iterator[Defect]:
    options = [text for text in (_value(option) for option in field.get("options").items()) if text is not None]
    for text in default.texts():
        if options and text not in options:
            message = f"{_name(field)}: the default {text!r} is not among the options"
            yield default.defect("default-option", message, f"write one of {', '.join(options)}")


def _secrets(field: Node) -> Iterator[Defect]:
    name, kind, role = (field.get(key).text for key in ("variable", "type", "role"))
    hidden = kind == "secret-input" or role in {"secret", "headers"}
    if hidden and text_of(field.get("default").value):
        message = f"{_name(field)} is secret and has a default, which everybody who installs the plugin can read"
        yield field.get("default").defect("secret-default", message, "remove the default")
    if not hidden and kind in _TYPED and _SECRET.fullmatch(name):
        message = f"{_name(field)} looks like a secret and is shown and stored in clear"
        yield field.defect("secret-in-clear", message, "write type: secret-input")


def endpoint_like(field: Node) -> bool:
    """Return whether a field looks as if it held the base URL."""
    return field.get("type").text in {"", "text-input", "url"} and bool(_ENDPOINT.fullmatch(field.get("variable").text))


def _endpoint(fields: Sequence[Node]) -> Iterator[Defect]:
    """Yield the field that is most likely the base URL: the first that must be filled in, else the first."""
    likely = [field for field in fields if endpoint_like(field) and not field.has("role")]
    for field in sorted(likely, key=lambda field: field.get("required").flag is False)[:1]:
        message = f"{_name(field)} looks like the base URL; without a role it is a text like any other"
        yield field.defect("endpoint-role", message, "add role: endpoint; requests are joined to it, keys bound to it")


def _declared_twice(name: str, fields: Sequence[Node]) -> Iterator[Defect]:
    """Yield the fields that an earlier one of the same name leaves no room for: the first that is shown counts."""
    for number, field in enumerate(fields):
        for earlier in fields[:number]:
            shown, before = field.get("show_on").value, earlier.get("show_on").value
            if not before or shown == before:
                message = f"field {name!r} stands here again, and the one in line {earlier.line} always goes before it"
                yield field.defect("duplicate-variable", message, "remove one, or give each its own show_on")
                break
