"""What is wrong with routes beside the models that are installed: types that do not go together, prices nobody knows.

Only what is certain is told: a model that no manifest describes may be anything that its provider serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelhub.configuration.problems import Complaint, Keys, shown_key
from modelhub.configuration.routes import deployment_named, entries
from modelhub.manifest.spellings import model_type_named
from modelhub.types.schema import ModelSchema, ModelType

if TYPE_CHECKING:
    from modelhub.configuration.settings import Settings
    from modelhub.configuration.tables import DeploymentTable, ModelOverlay
    from modelhub.types.plugins import ProviderInfo

__all__ = ["Described", "RouteChecks"]

Described = Mapping[tuple[ModelType, str], ModelSchema]
"""A provider's models, as its manifest describes them."""

_ONE_TYPE = "a call asks for one type: make a route for each"
_PRICED = "say its pricing in [models], or pick otherwise"


@dataclass(frozen=True, slots=True)
class RouteChecks:
    """Routes beside what is installed.

    Attributes:
        settings: What they stand in.
        providers: Every plugin, by id.
        described: The models that manifests describe, by provider.
    """

    settings: Settings
    providers: Mapping[str, ProviderInfo]
    described: Mapping[str, Described]

    def complaints(self) -> Iterator[Complaint]:
        """Yield what is wrong, each with its place in the settings."""
        for route in self.settings.routes:
            yield from self._types(route)
            yield from self._prices(route)

    def _types(self, route: str) -> Iterator[Complaint]:
        """Yield the first target of a route that serves nothing that those before it serve."""
        common: frozenset[ModelType] = frozenset()
        for entry in (each for group in self.settings.groups(route) for each in group):
            kinds = self._kinds(self._table(entry))
            if not kinds:
                continue
            if common and not kinds & common:
                message = (
                    f"{shown_key(entry)} is of type {_named(kinds)}, and what stands before it of {_named(common)}"
                )
                yield Complaint(("routes", route), message, _ONE_TYPE)
                return
            common = kinds & common or kinds

    def _prices(self, route: str) -> Iterator[Complaint]:
        """Yield the targets that ``cheapest`` never takes while another of their group is there."""
        places: dict[str, Keys] = {}
        for keys, entry in entries({route: self.settings.routes[route]}):
            places.setdefault(entry, keys)
        for group, pick in zip(self.settings.groups(route), self.settings.picks(route), strict=True):
            if pick != "cheapest" or len(group) == 1:
                continue
            for entry in group:
                if self._without_price(self._table(entry)):
                    message = f"nothing says what {shown_key(entry)} costs, so that pick = 'cheapest' takes it last"
                    yield Complaint(places.get(entry, ("routes", route)), message, _PRICED)

    def _table(self, entry: str) -> DeploymentTable:
        return self.settings.deployments.get(entry) or deployment_named(entry)

    def _kinds(self, table: DeploymentTable) -> frozenset[ModelType]:
        """Return the types that a target may be of; none where nobody knows."""
        overlay = self._overlay(table)
        if overlay is not None and "model_type" in overlay.fields:
            kind = model_type_named(overlay.fields["model_type"])
            return frozenset({kind} if kind is not None else ())
        own = frozenset(kind for kind, name in self.described.get(table.provider, {}) if name == self._model(table))
        info = self.providers.get(table.provider)
        return own or (frozenset(info.schema.supported_model_types) if info and info.schema else frozenset())

    def _without_price(self, table: DeploymentTable) -> bool:
        """Whether it is certain that no price is known: neither a manifest nor a price list can have one."""
        info = self.providers.get(table.provider)
        overlay = self._overlay(table)
        if info is None or info.schema is None or (overlay is not None and "pricing" in overlay.fields):
            return False
        models = self.described.get(table.provider, {})
        if any(each.pricing is not None for (_, name), each in models.items() if name == self._model(table)):
            return False
        return info.schema.prices_of == "" or self.settings.prices.source == "manifest"

    def _model(self, table: DeploymentTable) -> str:
        """Return the model that is called; a provider alone stands for its default one."""
        info = self.providers.get(table.provider)
        default = info.schema.default_model if info is not None and info.schema is not None else None
        return table.model or default or ""

    def _overlay(self, table: DeploymentTable) -> ModelOverlay | None:
        return self.settings.models.get(f"{table.provider}/{self._model(table)}")


def _named(kinds: frozenset[ModelType]) -> str:
    return " or ".join(sorted(kind.value for kind in kinds))
