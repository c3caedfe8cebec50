"""A document to tables: each table looked at by itself, then what they say of each other. Every complaint is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from modelhub.configuration.checks import together
from modelhub.configuration.credentials import CredentialSource, configured_credentials
from modelhub.configuration.overlays import model_overlay, provider_complaints
from modelhub.configuration.problems import Complaint, Keys, shown_key
from modelhub.configuration.routes import (
    deployment_named,
    deployment_table,
    entries,
    name_complaints,
    route_complaints,
    route_table,
)
from modelhub.configuration.shaping import shaped, what_is
from modelhub.configuration.tables import (
    DeploymentTable,
    EgressTable,
    ModelOverlay,
    PlainTables,
    PluginTable,
    PolicyTable,
    PricesTable,
    RouteTable,
    RoutingTable,
    SettingsFile,
    SharingTable,
    StoreTable,
    TimeoutTable,
)
from modelhub.rules.names import did_you_mean

__all__ = ["Tables", "validated"]

T = TypeVar("T")

_TABLES = [each.name for each in fields(SettingsFile)]
_SCHEMA_KEY = "$schema"
"""What editors find a JSON Schema by."""


@dataclass(frozen=True, slots=True)
class Tables(PlainTables):
    """All tables, each as its class."""

    credentials: Mapping[str, Sequence[CredentialSource]] = field(default_factory=dict, repr=False)
    models: Mapping[str, ModelOverlay] = field(default_factory=dict)
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deployments: Mapping[str, DeploymentTable] = field(default_factory=dict)
    routes: Mapping[str, RouteTable] = field(default_factory=dict)


class _Reader:
    """Reads the tables of one document, and keeps the complaints."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self._document = document
        self.complaints: list[Complaint] = []

    def table(self, name: str, cls: type[T]) -> T:
        """Read a table whose keys are those of a class; the default where it is wrong or not there."""
        table, complaints = shaped(cls, self._document.get(name, {}), (name,))
        # Where a key is wrong, its default stands in for it, of which nothing is to be said.
        self.complaints += complaints or [replace(each, keys=(name, *each.keys)) for each in together(table)]
        return table

    def named(self, name: str) -> Iterator[tuple[str, object]]:
        """Yield the tables under a table whose keys are names."""
        given = self._document.get(name, {})
        if not isinstance(given, Mapping):
            self.complaints.append(Complaint((name,), f"it must be a table, not {what_is(given)}"))
            return
        for key, value in given.items():
            if isinstance(key, str):
                yield key, value
            else:
                self.complaints.append(Complaint((name, str(key)), f"its name is {what_is(key)}", "write it as a text"))

    def kept(self, found: tuple[T, list[Complaint]]) -> T:
        """Keep the complaints of something that was read, and return it."""
        self.complaints += found[1]
        return found[0]


def validated(document: Mapping[str, object]) -> tuple[Tables, list[Complaint]]:
    """Read all tables of a document.

    Returns:
        The tables, and what is wrong with them; the tables are of use only where nothing is.
    """
    reader = _Reader(document)
    reader.complaints += _table_complaints(document)
    providers = dict(reader.named("providers"))
    for id, given in providers.items():
        reader.complaints += provider_complaints(id, given, ("providers", id))
    tables = Tables(
        plugins=reader.table("plugins", PluginTable),
        policy=reader.table("policy", PolicyTable),
        timeouts=reader.table("timeouts", TimeoutTable),
        prices=reader.table("prices", PricesTable),
        store=reader.table("store", StoreTable),
        routing=reader.table("routing", RoutingTable),
        egress=reader.table("egress", EgressTable),
        sharing=reader.table("sharing", SharingTable),
        credentials=_credentials(reader),
        models=_models(reader),
        providers={id: given for id, given in providers.items() if isinstance(given, Mapping)},
        deployments=_deployments(reader),
        routes=_routes(reader),
    )
    reader.complaints += _serving_complaints(tables)
    return tables, reader.complaints


def _table_complaints(document: Mapping[str, object]) -> Iterator[Complaint]:
    for name, given in document.items():
        if name == _SCHEMA_KEY:
            if not isinstance(given, str):
                yield Complaint((name,), "it must be a text", "name a JSON Schema, or leave it out")
        elif name not in _TABLES:
            remedy = did_you_mean(str(name), _TABLES, what="tables")
            yield Complaint((str(name),), "unknown table", remedy)


def _credentials(reader: _Reader) -> dict[str, Sequence[CredentialSource]]:
    found: dict[str, Sequence[CredentialSource]] = {}
    for provider, given in reader.named("credentials"):
        found[provider], complaints = configured_credentials(given, provider)
        keys = ("credentials", provider)
        reader.complaints += [Complaint((*keys, *each.keys), each.message, each.remedy) for each in complaints]
    return found


def _models(reader: _Reader) -> dict[str, ModelOverlay]:
    read = {name: reader.kept(model_overlay(name, given, ("models", name))) for name, given in reader.named("models")}
    return {name: overlay for name, overlay in read.items() if overlay is not None}


def _deployments(reader: _Reader) -> dict[str, DeploymentTable]:
    named = reader.named("deployments")
    return {name: reader.kept(deployment_table(given, ("deployments", name))) for name, given in named}


def _routes(reader: _Reader) -> dict[str, RouteTable]:
    return {name: reader.kept(route_table(given, ("routes", name))) for name, given in reader.named("routes")}


def _serving_complaints(tables: Tables) -> Iterator[Complaint]:
    """Yield what is wrong with deployments and routes beside each other and beside the credentials."""
    providers = [*tables.credentials, *tables.providers, *(model.provider for model in tables.models.values())]
    yield from name_complaints(list(tables.deployments), list(tables.routes), providers)
    named = {*providers, *(table.provider for table in tables.deployments.values())}
    yield from route_complaints(tables.routes, list(tables.deployments), named)
    if tables.store.enabled:
        return  # it may have credentials that nothing here says
    for name, table in tables.deployments.items():
        yield from _credential_complaint(tables, table, ("deployments", name, "credential"))
    for keys, entry in entries(tables.routes):
        if "/" in entry:
            yield from _credential_complaint(tables, deployment_named(entry), keys)


def _credential_complaint(tables: Tables, table: DeploymentTable, keys: Keys) -> Iterator[Complaint]:
    if table.credential is None:
        return
    overlay = tables.models.get(table.target)
    sources = [*tables.credentials.get(table.provider, ()), *(overlay.credentials if overlay else ())]
    known = [source.id for source in sources] or ["default"]
    if table.credential not in known and not any(source.answers_to(table.credential) for source in sources):
        message = f"{shown_key(table.provider)} has no credential {shown_key(table.credential)}"
        yield Complaint(keys, message, did_you_mean(table.credential, known, what="credentials"))
