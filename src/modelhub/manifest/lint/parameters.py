"""Parameter rules: templates, ranges, options, defaults, and what hangs on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.conditions import Variables, conditions, cycles
from modelhub.manifest.lint.nodes import Node, text_of
from modelhub.manifest.lint.values import Range, decimals, duplicates
from modelhub.rules.names import nearest
from modelhub.rules.templates import TEMPLATES, expanded, template_names
from modelhub.types.parameters import ParameterRule

__all__ = ["parameters"]

_SHARED = {"reasoning", "response_format"}
"""Templates that several rules of a model may name: a switch and a level, a shape and its schema."""

_FITS: Mapping[str, tuple[str, Callable[[Node], bool]]] = {
    "int": ("a whole number", lambda node: node.whole is not None),
    "float": ("a number", lambda node: _finite(node) is not None),
    "boolean": ("true or false", lambda node: node.flag is not None),
    "string": ("a text", lambda node: text_of(node.value) is not None),
    "text": ("a text", lambda node: text_of(node.value) is not None),
    "array": ("a list", lambda node: isinstance(node.value, list)),
    "object": ("a mapping", lambda node: isinstance(node.value, Mapping)),
}


def _finite(node: Node) -> Decimal | None:
    number = node.number
    return number if number is not None and number.is_finite() else None


def parameters(node: Node) -> Iterator[Defect]:
    """Yield what is wrong with a list of parameter rules.

    Args:
        node: ``parameter_rules``.
    """
    rules = list(node.mappings())
    by_name: dict[str, list[Node]] = {}
    for rule in rules:
        for name in {rule.get("name").text, rule.get("use_template").text} - {""}:
            by_name.setdefault(name, []).append(rule)
    variables = Variables({name: _choices(nodes) for name, nodes in by_name.items()}, "parameters")
    for rule in rules:
        yield from _rule(rule, variables)
    yield from _twice(rules)
    yield from cycles(by_name)


def _choices(rules: Sequence[Node]) -> frozenset[str] | None:
    found: set[str] = set()
    for rule in rules:
        if rule.get("type").text == "boolean":
            found |= {"true", "false"}
        elif rule.get("options").texts():
            found |= set(rule.get("options").texts())
        else:
            return None
    return frozenset(found)


def _twice(rules: Sequence[Node]) -> Iterator[Defect]:
    always = [rule for rule in rules if not rule.has("show_on")]
    for name, rule, first in duplicates([(rule.get("name").text, rule) for rule in always if rule.get("name").text]):
        message = f"parameter {name!r} stands here again, after line {first.line}"
        yield rule.defect("duplicate-parameter", message, "remove one")
    named = [(rule.get("use_template").text, rule) for rule in always if rule.get("use_template").text]
    for name, rule, first in duplicates([each for each in named if each[0] not in _SHARED]):
        message = f"two parameters stand for {name!r}: {_of(first)} in line {first.line}, and {_of(rule)}"
        yield rule.get("use_template").defect("duplicate-template", message, "leave use_template out of one of them")


def _of(rule: Node) -> str:
    return repr(rule.get("name").text)


def _rule(rule: Node, variables: Variables) -> Iterator[Defect]:
    name = f"parameter {_of(rule)}" if rule.get("name").text else "the parameter"
    yield from conditions(rule, variables, own=rule.get("name").text)
    yield from _template(rule, name)
    template = TEMPLATES.get(rule.get("use_template").text) or ParameterRule("")
    kind = rule.get("type").text or template.type or ""
    span = Range(name, *_bounds(rule))
    yield from span.upside_down(rule)
    yield from _precision(rule, name, kind)
    yield from _options(rule, name)
    if rule.has("default"):
        yield from _default(rule.get("default"), rule, name, kind, span)


def _bounds(rule: Node) -> tuple[Decimal | None, Decimal | None]:
    """Return the rule's own bounds, and where it has none those that its template gives it in a call."""
    own: dict[str, Any] = {key: number for key in ("min", "max") if (number := _finite(rule.get(key))) is not None}
    kind: Any = rule.get("type").text or None
    whole = expanded(ParameterRule("", use_template=rule.get("use_template").text or None, type=kind, **own))
    least, most = (None if bound is None else Decimal(str(bound)) for bound in (whole.min, whole.max))
    return least, most


def _template(rule: Node, name: str) -> Iterator[Defect]:
    template = rule.get("use_template")
    if template.text and template.text not in TEMPLATES:
        near = nearest(template.text, template_names(), most=1)
        remedy = f"did you mean {near[0]!r}?" if near else "leave it out, and write type, min and max yourself"
        yield template.defect("unknown-template", f"{name}: there is no template {template.text!r}", remedy)


def _precision(rule: Node, name: str, kind: str) -> Iterator[Defect]:
    precision = rule.get("precision")
    number = precision.number
    if number is None:
        return
    if number.is_finite() and number < 0:
        yield precision.defect("precision", f"{name}: there are no {precision.text} decimals", "write 0 or more")
    elif number and kind == "int":
        message = f"{name}: a whole number has no decimals, and precision is {precision.text}"
        yield precision.defect("precision", message, "remove it, or write type: float")


def _options(rule: Node, name: str) -> Iterator[Defect]:
    places = [(text, item) for item in rule.get("options").items() if (text := text_of(item.value)) is not None]
    for text, item, _ in duplicates(places):
        yield item.defect("duplicate-option", f"{name} has the option {text!r} twice", "remove one")


def _default(default: Node, rule: Node, name: str, kind: str, span: Range) -> Iterator[Defect]:
    wanted, fits = _FITS.get(kind, ("", None))
    if fits is not None and not fits(default):
        shown = repr(default.text) if default.text else f"a {type(default.value).__name__}"
        yield default.defect("default-type", f"{name}: the default {shown} is not {wanted}", f"write {wanted}")
        return
    options = rule.get("options").texts()
    if options and text_of(default.value) not in (None, *options):
        message = f"{name}: the default {default.text!r} is not among the options"
        yield default.defect("default-option", message, f"write one of {', '.join(options)}")
    if kind not in {"int", "float"}:
        return
    yield from span.excludes(default)
    precision, number = rule.get("precision").whole, _finite(default)
    if kind == "float" and precision is not None and number is not None and 0 <= precision < decimals(number):
        message = f"{name}: the default {default.text} has more decimals than precision {precision}"
        yield default.defect("default-precision", message, "round it, or raise precision")
