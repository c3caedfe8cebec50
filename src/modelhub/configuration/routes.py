"""Deployments and routes as they are configured: what their names mean, and whether they lead anywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from modelhub.configuration.problems import Complaint, Keys, shown_key
from modelhub.configuration.shaping import key_complaints, read_value, shaped, types_of
from modelhub.configuration.tables import DeploymentTable, Pick, RouteTable
from modelhub.rules.names import did_you_mean, nearest
from modelhub.types.parameters import ChatParameters

__all__ = [
    "deployment_named",
    "deployment_table",
    "entries",
    "expanded",
    "name_complaints",
    "route_complaints",
    "route_table",
]

_NAMING = ("target", "provider", "model")
_TARGET = 'write target = "provider/model"'
_PROVIDER = re.compile(r"[\w.-]+")
_NEAR = 0.7
"""How alike a word must be to a name to have been meant as it."""


def split_credential(text: str) -> tuple[str, str | None]:
    """Split ``provider/model#credential`` at the last ``#``."""
    target, mark, credential = text.rpartition("#")
    return (target, credential) if mark else (text, None)


def deployment_named(text: str) -> DeploymentTable:
    """Return the deployment that ``provider/model``, with or without ``#credential``, stands for."""
    target, credential = split_credential(text)
    provider, _, model = target.partition("/")
    return DeploymentTable(target, provider, model, credential)


def deployment_table(given: object, keys: Keys) -> tuple[DeploymentTable, list[Complaint]]:
    """Read one deployment; what it calls is in ``target``, ``provider`` and ``model`` alike."""
    table, complaints = shaped(DeploymentTable, given, keys)
    complaints += _parameter_complaints(table.parameters, (*keys, "parameters")) if table.parameters else ()
    if table.weight == math.inf:
        complaints.append(Complaint((*keys, "weight"), "it is inf", "1 is the usual share"))
    if any(each.keys in {keys, *((*keys, name) for name in _NAMING)} for each in complaints):
        return table, complaints
    complaints += _naming_complaints(table, keys)
    named = deployment_named(table.target or f"{table.provider}/{table.model}".rstrip("/"))
    credential = table.credential if named.credential is None else named.credential
    table = replace(table, target=named.target, provider=named.provider, model=named.model, credential=credential)
    return table, complaints


def _naming_complaints(table: DeploymentTable, keys: Keys) -> Iterator[Complaint]:
    """Yield what is wrong with how a deployment names its model."""
    if not table.target and not table.provider:
        yield Complaint(keys, "it names no model", _TARGET)
        return
    for name in ("provider", "model") if table.target else ():
        if getattr(table, name):
            yield Complaint((*keys, name), f"it has a target and a {name}", _TARGET)
    given = "target" if table.target else "provider"
    named = deployment_named(table.target or table.provider)
    if not named.provider or named.credential == "" or "/" in table.provider or named.target.endswith("/"):
        yield Complaint((*keys, given), "it is no provider/model", _TARGET)
    if named.credential and table.credential is not None:
        yield Complaint((*keys, "credential"), "the target names a credential too", "name it once")


def _parameter_complaints(given: Mapping[str, object], keys: Keys) -> Iterator[Complaint]:
    """Yield what is wrong with neutral parameters; their ranges are the model's own, and looked at in calls."""
    types = types_of(ChatParameters)
    yield from key_complaints(given, list(types), keys)
    for name, value in given.items():
        if name in types:
            yield from read_value(types[name], value, (*keys, name), strict=True)[1]


def route_table(given: object, keys: Keys) -> tuple[RouteTable, list[Complaint]]:
    """Read one route; its deployments are in ``groups``, however they were given."""
    table, complaints = shaped(RouteTable, given, keys)
    if not complaints and bool(table.groups) == bool(table.targets):
        what = "it names no deployment" if not table.groups else "it has groups and targets"
        complaints.append(Complaint(keys, what, 'write targets = ["provider/model", …], or groups of them'))
    groups = [list(group) for group in table.groups] or [[target] for target in table.targets]
    for number, group in enumerate(groups):
        place = (*keys, "groups" if table.groups else "targets", number)
        if not group:
            complaints.append(Complaint(place, "the group is empty", "name a deployment in it, or leave it out"))
        if len(set(group)) < len(group):
            complaints.append(Complaint(place, "a name is there twice", "give the deployment a weight instead"))
    return RouteTable(groups, table.targets, table.pick), complaints


def entries(routes: Mapping[str, RouteTable]) -> Iterator[tuple[Keys, str]]:
    """Yield what routes lead to, one by one, each with where it stands."""
    for name, route in routes.items():
        for number, group in enumerate(route.groups):
            for position, entry in enumerate(group):
                place = ("targets", number) if route.targets else ("groups", number, position)
                yield ("routes", name, *place), entry


def name_complaints(deployments: Sequence[str], routes: Sequence[str], providers: Sequence[str]) -> Iterator[Complaint]:
    """Yield what is wrong with the names of deployments and routes: each must be told from a model's and a provider's.

    Args:
        deployments: The names of deployments.
        routes: The names of routes.
        providers: Provider ids that the settings name.
    """
    for table, names in (("deployments", deployments), ("routes", routes)):
        for name in names:
            if not name or any(sign in "/#" or sign.isspace() or not sign.isprintable() for sign in name):
                yield Complaint((table, name), "its name is empty, or has a slash, # or space", "name it with one word")
            elif name in providers:
                yield Complaint((table, name), "a provider has that name", "name it otherwise")
    for name in routes:
        if name in deployments:
            yield Complaint(("routes", name), "a deployment has that name", "name one of them otherwise")


def route_complaints(
    routes: Mapping[str, RouteTable], deployments: Sequence[str], providers: Collection[str]
) -> Iterator[Complaint]:
    """Yield what is wrong with where routes lead: names that nobody has, and circles.

    Args:
        routes: The routes by name.
        deployments: The names of deployments.
        providers: Provider ids that the settings name; there may be others.
    """
    names = [*deployments, *routes]
    for keys, entry in entries(routes):
        if entry not in names and entry not in providers:
            yield from _entry_complaints(entry, names, keys)
    for circle in _circles(routes):
        way = " → ".join(shown_key(each) for each in (*circle, circle[0]))
        yield Complaint(("routes", circle[0]), f"it leads back to itself: {way}", "take one of them out")


def _entry_complaints(entry: str, names: Sequence[str], keys: Keys) -> Iterator[Complaint]:
    if "/" not in entry:
        # Which providers there are is not known here. What is nearly a name was hardly meant as one of them.
        if not _PROVIDER.fullmatch(entry) or nearest(entry, names, least=_NEAR):
            near = did_you_mean(entry, names, what="deployments and routes")
            stop = "" if near.endswith(("?", "…")) else "."
            remedy = f"{near}{stop} A model is written provider/model"
            yield Complaint(keys, f"there is no deployment or route {shown_key(entry)}", remedy)
        return
    named = deployment_named(entry)
    if not named.provider or not named.model or named.credential == "":
        yield Complaint(keys, "it is no provider/model", 'write it as "provider/model" or "provider/model#credential"')


def _circles(routes: Mapping[str, RouteTable]) -> Iterator[tuple[str, ...]]:
    """Yield each circle of routes once, from the first of its routes."""
    done: set[str] = set()
    for start in routes:
        way: list[str] = []
        waiting = [(start, iter(_next(routes, start)))] if start not in done else []
        way += [start] if waiting else []
        while waiting:
            name, rest = waiting[-1]
            following = next(rest, None)
            if following is None:
                waiting.pop()
                way.pop()
                done.add(name)
            elif following in way:
                yield tuple(way[way.index(following) :])
            elif following not in done:
                way.append(following)
                waiting.append((following, iter(_next(routes, following))))


def _next(routes: Mapping[str, RouteTable], name: str) -> list[str]:
    return [entry for group in routes[name].groups for entry in group if entry in routes]


def expanded(routes: Mapping[str, RouteTable], name: str) -> tuple[tuple[Pick | None, tuple[str, ...]], ...]:
    """Return the groups of a route with the routes in it replaced by what they lead to.

    A route alone in its group brings its groups, with its own pick; one beside others brings its deployments into
    theirs.

    Returns:
        Each group, and how one of it is chosen; ``None`` where no route says.
    """
    groups: list[tuple[Pick | None, tuple[str, ...]]] = []
    route = routes[name]
    for group in route.groups:
        if len(group) == 1 and group[0] in routes:
            groups += ((pick or route.pick, inner) for pick, inner in expanded(routes, group[0]))
            continue
        entries = (_flat(routes, entry) for entry in group)
        groups.append((route.pick, tuple(dict.fromkeys(each for found in entries for each in found))))
    return tuple(groups)


def _flat(routes: Mapping[str, RouteTable], entry: str) -> tuple[str, ...]:
    if entry not in routes:
        return (entry,)
    return tuple(each for _, group in expanded(routes, entry) for each in group)
