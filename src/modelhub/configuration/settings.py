"""The application's settings: ``modelhub.toml`` or a dict, and what the environment says over it.

Credentials, later wins: form default < ``MODELHUB_<PROVIDER>_<FIELD>`` < ``modelhub.toml`` < bound model < call.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from modelhub.errors import ConfigurationError
from modelhub.rules.names import did_you_mean
from modelhub.rules.parameters import Policy
from modelhub.types.forms import FormField
from modelhub.types.json import JSON

__all__ = ["CredentialSource", "PluginSettings", "Settings", "credentials_of_environment", "read_settings"]

_FILE = "modelhub.toml"
_AS_TABLES = "give the form's values as a table, or a list of tables"
_CREDENTIAL_KEYS = ("id", "values", "weight")


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """A credential as it is configured: the values that are given, before the form is filled in.

    Attributes:
        values: By the form's variables.
        id: A name without secrets.
        below: What ``values`` stand over: those of the bound model that a call gives its own for.
    """

    values: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    id: str = "default"
    below: Mapping[str, JSON] = field(default_factory=dict, repr=False)

    @property
    def layers(self) -> tuple[Mapping[str, JSON], Mapping[str, JSON]]:
        """The values, those that count more last."""
        return self.below, self.values


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """Which plugins may be used.

    Attributes:
        allow: Distributions that may; ``None`` for all.
        deny: Distributions or provider ids that may not.
        prefer: For an id that two distributions claim: the one that has it.
        rows: Providers made by configuration alone, each with ``extends``, by id.
        load_seconds: How long importing a plugin may take.
    """

    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    prefer: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    load_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class PluginTable:
    """The table ``[plugins]``."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    prefer: Mapping[str, str] = field(default_factory=dict)
    load_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """The table ``[policy]``: what becomes of parameters that a model does not take."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    parameters: Policy = "strict"


@dataclass(frozen=True, slots=True)
class TimeoutTable:
    """The table ``[timeouts]``, in seconds; what is left out is the provider's own or the default."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    connect: float | None = None
    first_token: float | None = None
    idle: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """All tables of ``modelhub.toml``."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    plugins: PluginTable = field(default_factory=PluginTable)
    policy: PolicyTable = field(default_factory=PolicyTable)
    timeouts: TimeoutTable = field(default_factory=TimeoutTable)
    credentials: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] = field(default_factory=dict, repr=False)
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_TABLES = [each.name for each in fields(SettingsFile)]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the runtime is set up with.

    Attributes:
        plugins: Which plugins may be used.
        policy: What becomes of parameters that a model does not take.
        timeouts: Limits of time over the providers' own.
        credentials: By provider id, in the order to try them.
        source: The file it was read from.
    """

    plugins: PluginSettings = field(default_factory=PluginSettings)
    policy: Policy = "strict"
    timeouts: TimeoutTable = field(default_factory=TimeoutTable)
    credentials: Mapping[str, Sequence[CredentialSource]] = field(default_factory=dict)
    source: Path | None = None


def read_settings(config: Mapping[str, object] | Path | str | None) -> Settings:
    """Read the settings. Blocks: call it in a thread.

    Args:
        config: A dict in the file's shape; a file; or ``None`` for the file that ``MODELHUB_CONFIG`` names, else
            ``modelhub.toml`` in the working directory, else none.

    Raises:
        ConfigurationError: The file cannot be read or says something that has no meaning; the message names the place.
    """
    source: Path | None = None
    if isinstance(config, Mapping):
        document: Mapping[str, object] = config
    else:
        source = _file(config)
        document = _parsed(source) if source is not None else {}
    tables = _validated(document, str(source) if source is not None else "the configuration")
    environment_allow = _listed("MODELHUB_PLUGINS_ALLOW")
    environment_deny = _listed("MODELHUB_PLUGINS_DENY")
    plugins = PluginSettings(
        allow=tables.plugins.allow if environment_allow is None else environment_allow,
        deny=[*tables.plugins.deny, *(environment_deny or ())],
        prefer=tables.plugins.prefer,
        rows=tables.providers,
        load_seconds=tables.plugins.load_seconds,
    )
    credentials = {provider: credential_sources(given, provider) for provider, given in tables.credentials.items()}
    return Settings(plugins, tables.policy.parameters, tables.timeouts, credentials, source)


def _file(config: Path | str | None) -> Path | None:
    if config is not None:
        return Path(config)
    named = os.environ.get("MODELHUB_CONFIG")
    if named:
        return Path(named)
    path = Path(_FILE)
    return path if path.is_file() else None


def _parsed(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from error


def _validated(document: Mapping[str, object], source: str) -> SettingsFile:
    if not document:
        return SettingsFile()
    for name in document:
        if name not in _TABLES:
            remedy = did_you_mean(str(name), _TABLES, what="tables")
            raise ConfigurationError(f"{source}: unknown table {name!r}", remedy=remedy)
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  wanted only where settings are read

    try:
        tables = TypeAdapter(SettingsFile).validate_python(dict(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    else:
        _check_seconds(tables, source)
        return tables
    # Raised out here, and so without the library's own error, which repeats what was given.
    place = [str(step) for step in first["loc"]]
    unknown = first["type"] == "unexpected_keyword_argument" and place[0] in _TABLES
    remedy = did_you_mean(place[-1], _keys(place[0]), what="keys") if unknown else f"see the table {place[0]}"
    raise ConfigurationError(f"{source}: {'.'.join(place)}: {first['msg']}", remedy=remedy)


def _keys(table: str) -> Sequence[str]:
    cls = {"plugins": PluginTable, "policy": PolicyTable, "timeouts": TimeoutTable}[table]
    return [each.name for each in fields(cls)]


def _check_seconds(tables: SettingsFile, source: str) -> None:
    limits = {f"timeouts.{each.name}": getattr(tables.timeouts, each.name) for each in fields(TimeoutTable)}
    for place, seconds in {**limits, "plugins.load_seconds": tables.plugins.load_seconds}.items():
        if seconds is not None and not seconds > 0:
            raise ConfigurationError(f"{source}: {place}: it is {seconds:g}", remedy="give seconds above 0")


def _listed(name: str) -> list[str] | None:
    value = os.environ.get(name, "").strip()
    return [word.strip() for word in value.split(",") if word.strip()] if value else None


def credential_sources(given: object, provider: str) -> list[CredentialSource]:
    """Read configured credentials: flat values, or a list of flat values or of ``{id, values}``.

    Raises:
        ConfigurationError: It is neither; the message does not repeat the values.
    """
    rows = [given] if isinstance(given, Mapping) else given
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes) or not rows:
        what = f"a {type(given).__name__}" if rows else "empty"
        raise ConfigurationError(f"the credentials of {provider!r} are {what}", remedy=_AS_TABLES)
    sources: dict[str, CredentialSource] = {}
    for number, row in enumerate(rows):
        name = "default" if len(rows) == 1 else str(number)
        source = _credential_source(row, name, f"credential {number} of {provider!r}")
        if source.id in sources:
            message = f"two credentials of {provider!r} have the id {source.id!r}"
            raise ConfigurationError(message, remedy="give each its own id")
        sources[source.id] = source
    return list(sources.values())


def _credential_source(row: object, name: str, which: str) -> CredentialSource:
    if not isinstance(row, Mapping):
        raise ConfigurationError(f"{which} is a {type(row).__name__}, not a table", remedy=_AS_TABLES)
    values = row.get("values")
    if not isinstance(values, Mapping):
        return CredentialSource(dict(row), name)
    for key in row:
        if key not in _CREDENTIAL_KEYS:
            remedy = did_you_mean(str(key), _CREDENTIAL_KEYS, what="keys")
            raise ConfigurationError(f"{which} has an unknown key {key!r}", remedy=remedy)
    id = row.get("id", name)
    if not isinstance(id, str):
        raise ConfigurationError(f"the id of {which} is a {type(id).__name__}, not a text", remedy="write it in quotes")
    return CredentialSource(dict(values), id)


def credentials_of_environment(provider: str, form: Sequence[FormField]) -> dict[str, JSON]:
    """Return the form's values that the environment gives, from ``MODELHUB_<PROVIDER>_<FIELD>``."""
    values: dict[str, JSON] = {}
    for each in form:
        value = os.environ.get(re.sub(r"[^A-Z0-9]", "_", f"MODELHUB_{provider}_{each.variable}".upper()))
        if value:
            values[each.variable] = value
    return values
