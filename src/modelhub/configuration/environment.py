"""What the environment says: settings over those of the file, and fields of credential forms.

``MODELHUB_<TABLE>_<KEY>`` is a setting, ``MODELHUB_<PROVIDER>_<FIELD>`` a field of a form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import Field, fields
from typing import Any

from modelhub.configuration.problems import Complaint, ConfigProblem
from modelhub.configuration.shaping import limit_complaints, read_value, types_of
from modelhub.configuration.tables import (
    EgressTable,
    PluginTable,
    PolicyTable,
    PricesTable,
    RoutingTable,
    SharingTable,
    StoreTable,
    TimeoutTable,
)
from modelhub.rules.names import nearest
from modelhub.types.forms import FormField
from modelhub.types.json import JSON

__all__ = [
    "PLACE",
    "credential_variable",
    "credentials_of_environment",
    "environment",
    "overrides",
    "problem_of_overrides",
    "setting_variables",
    "unknown_variables",
    "variable_of",
]

PLACE = "the environment"
"""What problems with variables call it, in place of a file."""

_PREFIX = "MODELHUB_"
_OTHERS = ("MODELHUB_CONFIG", "MODELHUB_LANG")
_TABLES: Mapping[str, type] = {
    "plugins": PluginTable,
    "policy": PolicyTable,
    "timeouts": TimeoutTable,
    "prices": PricesTable,
    "store": StoreTable,
    "routing": RoutingTable,
    "egress": EgressTable,
    "sharing": SharingTable,
}
_NEAR = 0.6
"""How alike two names are of which one is meant to be the other."""


def environment() -> Mapping[str, str]:
    """Return the environment of this process. Nothing else here reads it."""
    return os.environ


def _listed(each: Field[Any]) -> bool:
    return "Sequence" in str(each.type)


def variable_of(table: str, key: str) -> str:
    """Return the name of the variable that is a setting."""
    return f"{_PREFIX}{table}_{key}".upper()


def setting_variables() -> dict[str, tuple[str, str]]:
    """Return the table and the key of each variable that is a setting."""
    return {
        variable_of(table, each.name): (table, each.name)
        for table, cls in _TABLES.items()
        for each in fields(cls)
        if "Mapping" not in str(each.type)
    }


def overrides(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, object]], list[ConfigProblem]]:
    """Read the settings that the environment gives. A variable that is set to nothing is as good as unset.

    Returns:
        Keys and values by table; and what is wrong with them, without the values.
    """
    found: dict[str, dict[str, object]] = {}
    problems: list[ConfigProblem] = []
    for name, (table, key) in setting_variables().items():
        text = environ.get(name, "").strip()
        if not text:
            continue
        (field,) = (each for each in fields(_TABLES[table]) if each.name == key)
        given = [word.strip() for word in text.split(",") if word.strip()] if _listed(field) else text
        # A text is all that the environment has: numbers, and true and false, are read out of it.
        value, complaints = read_value(types_of(_TABLES[table])[key], given, (), strict=False)
        said = [each.message for each in complaints] or list(limit_complaints(field, value))
        remedy = f"set it to what [{table}] {key} may be, or unset it"
        problems += [ConfigProblem(PLACE, None, name, message, remedy) for message in said]
        found.setdefault(table, {})[key] = value
    return found, problems


def problem_of_overrides(table: str, keys: Sequence[str], complaint: Complaint) -> ConfigProblem:
    """Return what is wrong with a table since the environment stands over some of its keys.

    Args:
        table: Its name.
        keys: Those that the environment gives.
        complaint: What is wrong, with its keys below the table.
    """
    name = variable_of(table, next((key for key in keys if key == complaint.keys[0]), keys[0]))
    return ConfigProblem(PLACE, None, name, complaint.message, complaint.remedy)


def credential_variable(provider: str, field: str) -> str:
    """Return the name of the variable that gives a field of a provider's form."""
    return re.sub(r"[^A-Z0-9]", "_", f"{_PREFIX}{provider}_{field}".upper())


def credentials_of_environment(
    provider: str, form: Sequence[FormField], environ: Mapping[str, str] | None = None
) -> dict[str, JSON]:
    """Return the form's values that the environment gives, from ``MODELHUB_<PROVIDER>_<FIELD>``.

    Args:
        provider: The provider's id.
        form: Its fields.
        environ: The environment; this process's where it is not given.
    """
    variables = environment() if environ is None else environ
    given = {each.variable: variables.get(credential_variable(provider, each.variable)) for each in form}
    return {variable: value for variable, value in given.items() if value}


def unknown_variables(
    environ: Mapping[str, str], forms: Mapping[str, Sequence[FormField]], *, known: Collection[str] = ()
) -> list[ConfigProblem]:
    """Find variables that mean nothing, and those that mean two things.

    A variable of a provider that is like none of its fields is let be: plugins may read some of their own.

    Args:
        environ: The environment.
        forms: The credential forms of all providers, by id.
        known: Variables that others read.
    """
    meant = _meanings(forms)
    names = [*meant, *_OTHERS, *known]
    problems: list[ConfigProblem] = []
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in names:
            problems += _unknown(name, names, [credential_variable(provider, "") for provider in forms])
        elif len(meant.get(name, ())) > 1:
            said = " and ".join(meant[name])
            message = f"it means {said}, which all get its value"
            remedy = "unset it, and say what is meant in [credentials] of modelhub.toml"
            problems.append(ConfigProblem(PLACE, None, name, message, remedy))
    return problems


def _meanings(forms: Mapping[str, Sequence[FormField]]) -> dict[str, list[str]]:
    """Return what each variable means."""
    meant = {name: [f"[{table}] {key}"] for name, (table, key) in setting_variables().items()}
    for provider, form in forms.items():
        for variable in dict.fromkeys(each.variable for each in form):
            name = credential_variable(provider, variable)
            meant.setdefault(name, []).append(f"{variable} of {provider}")
    return meant


def _unknown(name: str, names: Sequence[str], prefixes: Sequence[str]) -> Iterator[ConfigProblem]:
    prefix = max((each for each in (*prefixes, _PREFIX) if name.startswith(each)), key=len)
    rest = {each.removeprefix(prefix): each for each in names if each.startswith(prefix)}
    near = [rest[each] for each in nearest(name.removeprefix(prefix), rest)]
    if near:
        remedy = f"did you mean {' or '.join(near)}?"
    elif prefix == _PREFIX:
        remedy = "unset it: no setting, and no field of an installed provider's form, is called so"
    else:
        return
    yield ConfigProblem(PLACE, None, name, "the variable means nothing", remedy)
