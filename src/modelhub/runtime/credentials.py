"""Which credentials a provider is called with: from the environment, the store, the settings and the call itself.

What counts more stands over what counts less, field by field: environment, store, settings, the settings' own values
for a model, bound model, call. A secret never follows a layer to another origin; only the environment's do, which the
operator gives beside settings of their own.

Several nodes may stand behind one of them: the addresses of its host, or what a function returns. Then there is a
credential for each, and they are made anew, beside calls, when the nodes are others.

Which layer a base URL comes from decides how far it is trusted: the environment, the store, the settings, the form's
own default and bound models are the operator's; what a call brings was typed by a user of the application.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final
from weakref import WeakKeyDictionary

from modelhub.configuration.environment import credential_variable
from modelhub.configuration.settings import CredentialSource, Settings, credentials_of_environment
from modelhub.credentials.references import is_dynamic, resolved
from modelhub.errors import ConfigurationError, CredentialsInvalid, ModelHubError
from modelhub.rules.forms import endpoint_in, filled, layered, model_form
from modelhub.rules.names import did_you_mean
from modelhub.runtime.credential_layers import (
    Function,
    GivenCredentials,
    Layers,
    identity,
    of_same_name,
    refers,
    typed_layers,
    without_references,
)
from modelhub.runtime.node_lists import NodeList, NodeLists
from modelhub.runtime.nodes import Addresses, Returned
from modelhub.runtime.single_flight import SingleFlight
from modelhub.types.credential import Credential
from modelhub.types.json import JSON
from modelhub.types.schema import ModelType

if TYPE_CHECKING:
    from modelhub.credentials.store import CredentialStore, StoredCredential
    from modelhub.runtime.plugin import Plugin
    from modelhub.types.forms import FormField

__all__ = ["Credentials", "GivenCredentials", "Usable"]

_Key: TypeAlias = tuple[str, str, ModelType | None, str | None]
_DEFAULT = (CredentialSource(),)
_REMEMBERED = 1024
"""Models whose credentials are kept ready: their names come with calls, and there may be any number of them."""

_PATIENCE = 2.0
"""Seconds that a call waits for a list that was never found, where there are credentials that need none."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A provider's credentials that can be used.

    Attributes:
        credentials: In the order to try them.
        sources: What each was configured as, by its id.
        refused: The classes of the errors of those that cannot be used, by their ids.
        changes: Whether a value is asked for anew at each call.
        renewable: Whether what they were made of may be another the next time it is read.
        nodes: The lists that some of them stand in, with the edition of each.
    """

    credentials: tuple[Credential, ...]
    sources: Mapping[str, CredentialSource]
    refused: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False
    renewable: bool = False
    nodes: tuple[tuple[NodeList[Any], int], ...] = ()

    @property
    def current(self) -> bool:
        """Whether the lists are still what they were."""
        return all(nodes.edition == edition for nodes, edition in self.nodes)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose credentials are asked for; see `Credentials.usable`."""

    plugin: Plugin
    model: str
    kind: ModelType | None
    given: GivenCredentials | None
    name: str | None


@final
class _Made:
    """What came of a provider's credentials so far."""

    __slots__ = ("credentials", "error", "hurried", "nodes", "patience", "refused", "returned", "sources", "values")

    def __init__(self, patience: float = math.inf) -> None:
        self.patience = patience
        self.hurried = False
        self.credentials: list[Credential] = []
        self.sources: dict[str, CredentialSource] = {}
        self.refused: dict[str, str] = {}
        self.error: ModelHubError | None = None
        self.values: list[Mapping[str, JSON]] = []
        self.nodes: dict[NodeList[Any], int] = {}
        self.returned: dict[str, NodeList[CredentialSource]] = {}

    def add(self, credentials: Sequence[Credential], source: CredentialSource) -> None:
        """Keep those of one source that can be used."""
        self.credentials += credentials
        if source.id in self.returned:
            self.returned[source.id].made(source.id, credentials)
        self.sources.update({each.id: source for each in credentials})

    def refuse(self, id: str, error: ModelHubError) -> None:
        """Keep why one cannot be used."""
        self.error = self.error or error
        self.refused[id] = type(error).__name__

    def waits(self, others: Iterable[CredentialSource]) -> float:
        """Return how many seconds to wait for a list: fewer where there are others that need none."""
        if any(source.discovery is None for source in others):
            self.hurried = self.hurried or self.patience < math.inf
            return self.patience
        return math.inf

    def usable(self, *, renewable: bool) -> Usable:
        """Return what there is."""
        return Usable(
            tuple(self.credentials),
            self.sources,
            self.refused,
            any(map(is_dynamic, self.values)),
            renewable or any(map(refers, self.values)),
            tuple(self.nodes.items()),
        )


@final
class Credentials:
    """Fills in forms, and remembers what came of it.

    Args:
        settings: What is configured.
        store: Where more of them are kept, or ``None``.
        lists: Finds the nodes that stand behind some of them.

    Attributes:
        edition: Another number once anything that was found may not hold any more.
    """

    def __init__(
        self, settings: Settings, store: CredentialStore | None = None, lists: NodeLists | None = None
    ) -> None:
        self._settings = settings
        self._store = store
        self._lists = lists or NodeLists()
        self._lists_edition = self._lists.edition
        self._plugins: dict[str, Plugin] = {}
        self._folder: Path | None = settings.source.parent if settings.source is not None else None
        self._usable: dict[_Key, Usable] = {}
        self._given: WeakKeyDictionary[GivenCredentials, dict[_Key, Usable]] = WeakKeyDictionary()
        self._stored: dict[str, Sequence[StoredCredential]] = {}
        self._forgotten: dict[str, int] = {}
        self._flights = SingleFlight()
        self.edition: int = 0

    async def usable(
        self,
        plugin: Plugin,
        model: str = "",
        kind: ModelType | None = None,
        given: GivenCredentials | None = None,
        name: str | None = None,
    ) -> Usable:
        """Return what a provider's model may be called with, filled in, in the order to try.

        Args:
            plugin: The provider.
            model: The model; settings and store may have credentials of its own.
            kind: Its type, which forms may ask for.
            given: What a call or bound model brings; passed over where it is another provider's.
            name: The one of `names` to use, or to put what is given over; ``None`` for all, or the first.

        Raises:
            CredentialsInvalid: None of them can be used; the first one's complaint.
            ConfigurationError: The store cannot be read.
        """
        if given is not None and given.provider != plugin.id:
            given = None
        if given is not None and not given.lasting:
            return await self._found(_Wanted(plugin, model, kind, given, name))
        memory = self._usable if given is None else self._given.setdefault(given, {})
        self._plugins[plugin.id] = plugin
        key = (plugin.id, model, kind, name)
        known = memory.get(key)
        if known is not None:
            return known
        kept = partial(self._kept, memory, key, _Wanted(plugin, model, kind, given, name))
        return await self._flights.run((key, given, self._forgotten.get(plugin.id)), kept)

    async def _kept(self, memory: MutableMapping[_Key, Usable], key: _Key, wanted: _Wanted) -> Usable:
        forgotten = self._forgotten.get(wanted.plugin.id)
        usable = await self._found(wanted)
        if not usable.changes and usable.current and forgotten == self._forgotten.get(wanted.plugin.id):
            if len(memory) >= _REMEMBERED:
                memory.clear()
            memory[key] = usable
        return usable

    def use(self, usable: Usable) -> None:
        """A call goes to one of them: lists that they stand in are kept up to date."""
        for nodes, _ in usable.nodes:
            self._lists.use(nodes)

    async def renew(self) -> None:
        """Make anew what stands in lists that are others now; until that is done, calls go on with what was before."""
        edition = self._lists.edition
        changed = edition > self._lists_edition
        for given, memory in [(None, self._usable), *self._given.items()]:
            for key in [key for key, usable in memory.items() if not usable.current]:
                changed = await self._renewed(memory, key, given) or changed
        if changed:
            self._lists_edition = max(edition, self._lists_edition)
            self.edition += 1

    async def _renewed(self, memory: MutableMapping[_Key, Usable], key: _Key, given: GivenCredentials | None) -> bool:
        """Make something anew that is remembered; returns whether it is another now."""
        id, model, kind, name = key
        forgotten = self._forgotten.get(id)
        try:
            usable = await self._found(_Wanted(self._plugins[id], model, kind, given, name))
        except CredentialsInvalid:
            return False  # a reference cannot be read at the moment: what was read before stays until the next look-up
        except ModelHubError:
            memory.pop(key, None)  # the node that it names is gone: the next call says so
            return True
        if forgotten == self._forgotten.get(id):
            memory[key] = usable
        return True

    async def names(self, plugin: Plugin, model: str = "") -> Sequence[str]:
        """Return the ids of the credentials configured and stored for a model: its own, else the provider's."""
        return [source.id for source in await self._sources(plugin, model)]

    async def has(self, plugin: Plugin, model: str, name: str) -> bool:
        """Whether a name means one of a model's credentials, or a node behind one."""
        return any(source.answers_to(name) for source in await self._sources(plugin, model))

    def forget(self, plugin: Plugin) -> None:
        """Read a provider's credentials anew when they are wanted next: a key was refused, and may have been changed.

        Those that stand in the settings as they are cannot have changed, and stay.
        """
        self._stored.pop(plugin.id, None)
        # Readings that are under way may have seen what was before, and are not remembered.
        self._forgotten[plugin.id] = self._forgotten.get(plugin.id, 0) + 1
        self.edition += 1
        for memory in (self._usable, *self._given.values()):
            for key in [key for key, usable in memory.items() if key[0] == plugin.id and usable.renewable]:
                del memory[key]

    async def _found(self, wanted: _Wanted, patience: float = _PATIENCE) -> Usable:
        plugin, given, made = wanted.plugin, wanted.given, _Made(patience)
        if given is not None and not given.lasting and any(source.discovery for source in given.sources):
            message = f"credentials of {plugin.id!r} came with a call, and are to be found first"
            raise ConfigurationError(message, remedy="put them into the settings, or bind the model to them: hub.bind")
        form, layers = await self._layers(plugin, wanted.model, made)
        if wanted.name is not None:
            layers = [each for each in layers if each.source.answers_to(wanted.name)] or layers
        if given is not None:
            # What a bound model or a call gives stands over the first credential there is.
            found = await self._found_in(given.sources, plugin, made)
            sources = [without_references(source.placed(form, plugin.id), plugin.id) for source in found]
            layers = [layers[0].under(source, typed=typed_layers(given, source)) for source in sources]
        for each in layers:
            made.values += each.all
            try:
                credential = await self._filled(form, each, plugin, wanted.kind)
                seconds = made.waits(other.source for other in layers)
                made.add(await self._nodes(credential, each, wanted, made, seconds), each.source)
            except ModelHubError as error:
                made.refuse(each.id, error)
        if made.error is not None and not made.credentials:
            if made.hurried:  # what needs no list cannot be used: wait for what does
                return await self._found(wanted, math.inf)
            self._stored.pop(plugin.id, None)  # what is missing may be put there now
            raise made.error if given is not None else _with_places(made.error, plugin.id)
        return made.usable(renewable=self._store is not None)

    async def _nodes(
        self, credential: Credential, layers: Layers, wanted: _Wanted, made: _Made, patience: float = math.inf
    ) -> Sequence[Credential]:
        """Return a credential for each address of its host, where these are to be found, else itself alone.

        Raises:
            ConfigurationError: It has no base URL, or the one address that is wanted is none of its host's.
            ModelHubError: The addresses cannot be found.
        """
        discovery, id = layers.source.discovery, wanted.plugin.id
        if discovery is None:
            return [credential]
        what = f"the credential {credential.id!r} of provider {id!r}"
        endpoint = endpoint_in(credential)
        if endpoint is None:
            raise ConfigurationError(f"{what} has no base URL to look the host of up", remedy="take discover out")
        lookup = Addresses(endpoint, what, refresh=discovery.refresh, resolve=self._lists.resolve)
        key = (id, credential.id, endpoint.host, endpoint.port, discovery.refresh)
        nodes = await self._lists.find(key, lookup, patience)
        made.nodes[nodes] = nodes.edition
        if not nodes.items:
            raise self._lists.failure(nodes)
        found = {address: credential.at(address) for address in nodes.items}
        for address, each in found.items():
            nodes.made(address, [each])
        name = wanted.name if wanted.given is None else None
        named = [each for each in found.values() if name in {None, credential.id, each.id}]
        if not named:
            message = f"{what} has no address {str(name).rpartition('@')[2]!r} now"
            raise ConfigurationError(message, remedy=f"it has {', '.join(found)}")
        return named

    async def named(self, plugin: Plugin, name: str, model: str = "", kind: ModelType | None = None) -> Credential:
        """Return one of a provider's credentials by its name, filled in, whatever is remembered.

        Args:
            plugin: The provider.
            name: The credential's name.
            model: The model, where it is to be one of its own.
            kind: Its type, which forms may ask for.

        Raises:
            ConfigurationError: There is none of that name.
            CredentialsInvalid: It cannot be used.
        """
        form, layers = await self._layers(plugin, model, _Made())
        found = next((each for each in layers if each.source.answers_to(name)), None)
        if found is None:
            remedy = did_you_mean(name, [each.id for each in layers], what="credentials")
            raise ConfigurationError(f"provider {plugin.id!r} has no credential {name!r}", remedy=remedy)
        credential = await self._filled(form, found, plugin, kind)
        if credential.id == name:
            return credential
        return (await self._nodes(credential, found, _Wanted(plugin, model, kind, None, name), _Made()))[0]

    async def _sources(self, plugin: Plugin, model: str) -> Sequence[CredentialSource]:
        return await self._of_model(plugin, model, _Made()) or await self._of_provider(plugin, _Made())

    async def _layers(self, plugin: Plugin, model: str, made: _Made) -> tuple[Sequence[FormField], list[Layers]]:
        """Return the form to fill in, and what each credential is made of."""
        own = await self._of_model(plugin, model, made)
        schema = plugin.schema
        form = model_form(schema) if schema.model_credential_schema and (own or not schema.form) else schema.form
        sources = [source.placed(form, plugin.id) for source in await self._of_provider(plugin, made)]
        layers = [Layers(source, tuple(filter(None, source.layers))) for source in sources]
        if own:
            layers = [of_same_name(layers, source).under(source.placed(form, plugin.id)) for source in own]
        return form, layers

    async def _filled(
        self, form: Sequence[FormField], layers: Layers, plugin: Plugin, kind: ModelType | None
    ) -> Credential:
        name = f"the credential {layers.id!r} of provider {plugin.id!r}"
        lower = [await resolved(each, folder=self._folder, name=name) for each in layers.lower]
        upper = [await resolved(each, folder=self._folder, name=name) for each in layers.upper]
        typed = [await resolved(each, folder=self._folder, name=name) for each in layers.typed]
        environment = credentials_of_environment(plugin.id, form)
        below = {**environment, **layered(form, *lower, model_type=kind)}
        trusted = layered(form, below, *upper, model_type=kind)
        values = layered(form, trusted, *typed, model_type=kind)
        # A value that is asked for anew at each call must not make another credential of it each time.
        key = identity(layers) if any(map(is_dynamic, layers.all)) else None
        return filled(
            form,
            values,
            provider=plugin.id,
            id=layers.id,
            model_type=kind,
            key=key,
            trusted=trusted if typed else None,
        )

    async def _found_in(
        self, sources: Sequence[CredentialSource], plugin: Plugin, made: _Made
    ) -> Sequence[CredentialSource]:
        """Return credentials, with what functions return in the place of those that stand for it.

        Raises:
            ModelHubError: There are none, because a function failed.
        """
        failed: ModelHubError | None = None
        found: dict[str, CredentialSource] = {}
        configured = {source.id for source in sources if source.function is None}
        for source in sources:
            if source.discovery is None or source.function is None:
                found[source.id] = source
                continue
            refresh = source.discovery.refresh
            lookup = Returned(source.function, plugin.id, model_form(plugin.schema), refresh=refresh)
            key = (plugin.id, Function(source.function), refresh)
            nodes = await self._lists.find(key, lookup, made.waits(sources))
            made.nodes[nodes] = nodes.edition
            if not nodes.items:
                error = self._lists.failure(nodes)
                failed = failed or error
                made.refuse(source.id, error)
            for id, each in nodes.items.items():
                if id not in configured and id not in found:  # what is configured by that name stands in its place
                    found[id], made.returned[id] = each, nodes
        if failed is not None and not found:
            raise failed
        return list(found.values())

    async def _of_provider(self, plugin: Plugin, made: _Made) -> Sequence[CredentialSource]:
        """Return a provider's credentials as configured, with what is stored by the same names below them."""
        stored = {each.name: _values(each) for each in await self._in_store(plugin.id) if each.model is None}
        configured = await self._found_in(self._settings.credentials.get(plugin.id) or (), plugin, made)
        sources = [replace(source, below=stored.pop(source.id, {})) for source in configured]
        sources += [CredentialSource(values, name) for name, values in stored.items()]
        return sources or _DEFAULT

    async def _of_model(self, plugin: Plugin, model: str, made: _Made) -> Sequence[CredentialSource]:
        """Return the credentials that belong to one model."""
        table = self._settings.models.get(f"{plugin.id}/{model}")
        configured = await self._found_in(table.credentials if table is not None else (), plugin, made)
        names = {source.id for source in configured}
        below = {each.name: _values(each) for each in await self._in_store(plugin.id) if model and each.model == model}
        return [
            *(replace(source, below=below.get(source.id, {})) for source in configured),
            *(CredentialSource(values, name) for name, values in below.items() if name not in names),
        ]

    async def _in_store(self, provider: str) -> Sequence[StoredCredential]:
        if self._store is None:
            return ()
        known = self._stored.get(provider)
        if known is not None:
            return known
        forgotten = self._forgotten.get(provider)
        found = await self._flights.run(("stored", provider, forgotten), partial(_listed, self._store, provider))
        if forgotten == self._forgotten.get(provider):
            self._stored[provider] = found
        return found

    def __repr__(self) -> str:
        return f"<Credentials: {len(self._usable)} filled in>"


async def _listed(store: CredentialStore, provider: str) -> Sequence[StoredCredential]:
    """Return what a store has of a provider; one of the application's own may raise anything, and return more."""
    try:
        found = await store.list(provider)
    except ModelHubError:
        raise
    except Exception as error:
        message = f"the store of credentials cannot be read: it raised {type(error).__name__}"
        remedy = "whoever keeps the store must mend it; no credential was used"
        raise ConfigurationError(message, remedy=remedy) from error
    return [each for each in found if each.provider == provider]


def _with_places(error: ModelHubError, provider: str) -> ModelHubError:
    """Return a credential's error that says where what is missing can be given, if anything is and it says nothing."""
    missing = [problem.path for problem in getattr(error, "problems", ()) if problem.code == "required"]
    if missing and error.remedy is None:
        variables = " and ".join(credential_variable(provider, path) for path in missing)
        error.remedy = (
            f"run `modelhub credentials add {provider}`, set {variables},"
            f" or fill in [credentials.{provider}] in modelhub.toml"
        )
    return error


def _values(stored: StoredCredential) -> Mapping[str, JSON]:
    """Return the values of a stored credential, whose secrets are read with the references of the others."""
    return cast("Mapping[str, JSON]", stored.values)
