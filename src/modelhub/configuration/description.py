"""What is set, and where: every setting with its place, for people. No secret is among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from modelhub.configuration.credentials import endpoint_field
from modelhub.configuration.environment import credential_variable, credentials_of_environment
from modelhub.configuration.problems import Keys, path_text
from modelhub.configuration.settings import Settings
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
from modelhub.credentials import masked
from modelhub.types.forms import FormField
from modelhub.types.json import JSON

__all__ = ["SettingShown", "described"]

_Shown: TypeAlias = tuple[Keys, JSON]

_DEFAULT = "default"
_KEY_OF_TABLE = 2


@dataclass(frozen=True, slots=True)
class SettingShown:
    """A setting as people may see it.

    Attributes:
        path: The keys that lead there, as TOML writes them.
        value: What it is; of a secret the last four characters at most.
        origin: Where it was said: ``modelhub.toml:12``, a variable of the environment, or ``default``.
    """

    path: str
    value: JSON
    origin: str


def described(
    settings: Settings, forms: Mapping[str, Sequence[FormField]], environ: Mapping[str, str]
) -> list[SettingShown]:
    """Return what is set and where, credentials with their secrets masked.

    Args:
        settings: The settings.
        forms: The credential forms of providers, by id: a value without its field in a form is taken for a secret.
        environ: The environment, for the fields of forms.
    """
    found = [*_tables(settings), *_written(settings.document.value, forms)]
    lines = settings.document.lines([keys for keys, _ in found])
    shown = [SettingShown(path_text(keys), value, _origin(settings, keys, lines)) for keys, value in found]
    for provider, form in forms.items():
        for variable, value in masked(credentials_of_environment(provider, form, environ), form).items():
            path = path_text(("credentials", provider, variable))
            shown.append(SettingShown(path, value, credential_variable(provider, variable)))
    return shown


def _origin(settings: Settings, keys: Keys, lines: Mapping[Keys, int]) -> str:
    table = settings.document.value.get(str(keys[0]))
    if keys in settings.overridden:
        return settings.overridden[keys]
    if len(keys) == _KEY_OF_TABLE and not (isinstance(table, Mapping) and keys[1] in table):
        return _DEFAULT
    return f"{settings.document.name}:{lines[keys]}" if keys in lines else settings.document.name


def _tables(settings: Settings) -> Iterator[_Shown]:
    """Yield the tables whose keys are the same for everybody, with their defaults."""
    policy = PolicyTable(settings.policy)
    for name, cls, table in (
        ("plugins", PluginTable, settings.plugins),
        ("policy", PolicyTable, policy),
        ("timeouts", TimeoutTable, settings.timeouts),
        ("prices", PricesTable, settings.prices),
        ("store", StoreTable, settings.store),
        ("routing", RoutingTable, settings.routing),
        ("egress", EgressTable, settings.egress),
        ("sharing", SharingTable, settings.sharing),
    ):
        for field in fields(cls):
            value = getattr(table, field.name)
            yield (name, field.name), _plain(value) if field.repr else masked({field.name: value}, ())[field.name]


def _written(document: Mapping[str, Any], forms: Mapping[str, Sequence[FormField]]) -> Iterator[_Shown]:
    """Yield the tables whose keys are names, as they were written."""
    for provider, given in document.get("credentials", {}).items():
        yield from _credentials(given, ("credentials", provider), forms.get(provider, ()))
    for name, table in document.get("models", {}).items():
        form = forms.get(name.partition("/")[0], ())
        yield from _fields(table, ("models", name), {"credentials": form})
    for id, table in document.get("providers", {}).items():
        form = forms.get(id) or forms.get(str(table.get("extends")), ())
        yield from _fields(table, ("providers", id), {"preset": form})
    for kind in ("deployments", "routes"):
        for name, table in document.get(kind, {}).items():
            yield from _fields(table, (kind, name), {"vendor": ()})


def _fields(table: Mapping[str, Any], keys: Keys, values: Mapping[str, Sequence[FormField]]) -> Iterator[_Shown]:
    """Yield the fields of a table; of those that are values of a form, secrets are masked."""
    for key, value in table.items():
        if key in values:
            yield from _credentials(value, (*keys, key), values[key])
        else:
            yield (*keys, key), _plain(value)


def _credentials(given: Any, keys: Keys, form: Sequence[FormField]) -> Iterator[_Shown]:
    if isinstance(given, str):
        name = endpoint_field(form) or ""  # a base URL alone; where the form has no field for it, it is a secret
        yield keys, masked({name: given}, form)[name]
        return
    if callable(given) or (isinstance(given, Mapping) and callable(given.get("discover"))):
        yield keys, "(a function)"
        return
    if not isinstance(given, Mapping):
        for number, row in enumerate(given):
            yield from _credentials(row, (*keys, number), form)
        return
    values = given.get("values")
    if isinstance(values, Mapping):
        yield from (((*keys, key), _plain(value)) for key, value in given.items() if key != "values")
        keys, given = (*keys, "values"), values
    yield from (((*keys, variable), value) for variable, value in masked(given, form).items())


def _plain(value: object) -> JSON:
    """Return a value as JSON has it; dates as texts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
