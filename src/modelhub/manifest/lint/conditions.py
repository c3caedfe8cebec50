"""Conditions (``show_on``) among the fields of a form or the parameters of a model: those that can never hold.

Owns what can be told from the file alone: unknown variables, values that a field cannot have, contradictions, circles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import final

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.nodes import Node, text_of
from modelhub.rules.names import did_you_mean
from modelhub.types.schema import ModelType

__all__ = ["MODEL_TYPE", "Variables", "conditions", "cycles", "never"]

MODEL_TYPE = "__model_type"
"""The variable that is the type of the model that a form is filled in for."""


@final
@dataclass(frozen=True, slots=True)
class Variables:
    """What conditions may ask for.

    Attributes:
        choices: The variables, each with the values it can have; ``None`` where it can have any.
        what: What they are, in the plural.
    """

    choices: Mapping[str, frozenset[str] | None]
    what: str = "fields"

    @classmethod
    def of(cls, choices: Mapping[str, frozenset[str] | None], what: str) -> Variables:
        """Make them with what every condition may ask for besides."""
        return cls({**choices, MODEL_TYPE: frozenset(kind.value for kind in ModelType)}, what)


def conditions(owner: Node, variables: Variables, *, own: str = "") -> Iterator[Defect]:
    """Yield what is wrong with the conditions of a field, an option or a parameter.

    Args:
        owner: Where ``show_on`` stands.
        variables: What may be asked for.
        own: The variable that the owner is; it cannot hang on itself.
    """
    listed = _listed(owner.get("show_on"))
    for condition in listed:
        yield from _condition(condition, variables, own)
    yield from _contradictions(listed)


def _listed(node: Node) -> list[Node]:
    return [node] if isinstance(node.value, Mapping) else list(node.mappings())


def _condition(node: Node, variables: Variables, own: str) -> Iterator[Defect]:
    name = node.get("variable").text
    if name and name == own:
        yield node.defect("show-on-cycle", f"{name!r} hangs on itself", "let it hang on another one")
    elif name and name not in variables.choices:
        known = [known for known in variables.choices if known != MODEL_TYPE]
        remedy = did_you_mean(name, known, what=variables.what)
        yield node.defect("show-on-unknown", f"show_on: there is no {name!r} here", remedy)
    elif name:
        yield from _values(node, name, variables.choices[name])
    for key in ("all", "any"):
        for inner in node.get(key).mappings():
            yield from _condition(inner, variables, own)
    if isinstance(node.get("not").value, Mapping):
        yield from _condition(node.get("not"), variables, own)


def _values(node: Node, name: str, choices: frozenset[str] | None) -> Iterator[Defect]:
    if choices is None:
        return
    for item in (node.get("value"), *node.get("in").items()):
        text = text_of(item.value)
        if text is not None and text not in choices:
            message = f"show_on: {name!r} can never be {text!r}"
            yield item.defect("show-on-impossible", message, f"it can be {', '.join(sorted(choices)) or 'nothing'}")


def _contradictions(listed: Sequence[Node]) -> Iterator[Defect]:
    """Yield a variable that must have two values at once: people mean one or the other."""
    wanted: dict[str, str] = {}
    for node in listed:
        name, value = node.get("variable").text, text_of(node.get("value").value)
        if not name or value is None:
            continue
        if wanted.setdefault(name, value) != value:
            message = (
                f"show_on: {name!r} cannot be {wanted[name]!r} and {value!r} at once; what is listed holds together"
            )
            yield node.defect(
                "show-on-impossible",
                message,
                f"for one of several: {{variable: {name}, in: [{wanted[name]}, {value}]}}",
            )


def never(owner: Node, variables: Variables) -> bool:
    """Return whether the conditions of a field can never hold together."""
    listed = _listed(owner.get("show_on"))
    return any(_impossible(condition, variables) for condition in listed) or any(_contradictions(listed))


def _impossible(node: Node, variables: Variables) -> bool:
    name = node.get("variable").text
    if name and name not in variables.choices:
        return node.get("exists").flag is not False
    choices = variables.choices.get(name)
    if choices is not None and any(
        wanted and choices.isdisjoint(wanted) for wanted in (node.get("value").texts(), node.get("in").texts())
    ):
        return True
    inner = list(node.get("any").mappings())
    return any(_impossible(each, variables) for each in node.get("all").mappings()) or (
        bool(inner) and all(_impossible(each, variables) for each in inner)
    )


def _mentioned(node: Node) -> Iterator[str]:
    """Yield the variables that a field's conditions ask for."""
    for condition in _listed(node.get("show_on")):
        yield from _names(condition)


def _names(node: Node) -> Iterator[str]:
    if node.get("variable").text:
        yield node.get("variable").text
    for key in ("all", "any"):
        for inner in node.get(key).mappings():
            yield from _names(inner)
    if isinstance(node.get("not").value, Mapping):
        yield from _names(node.get("not"))


def cycles(owners: Mapping[str, Sequence[Node]]) -> Iterator[Defect]:
    """Yield a circle of conditions among several, if there is one: none of them is ever shown.

    Args:
        owners: Fields or parameters by the variable they are.
    """
    graph = {name: {each for node in nodes for each in _mentioned(node)} - {name} for name, nodes in owners.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        node = owners[circle[0]][0].get("show_on")
        yield node.defect(
            "show-on-cycle",
            f"show_on goes in a circle: {' needs '.join(repr(name) for name in circle)}",
            "let one of them be shown without the others",
        )
