"""Which credentials a provider is called with: from the environment, the store, the settings and the call itself.

What counts more stands over what counts less, field by field: environment, store, settings, the settings' own values
for a model, bound model, call. A secret never follows a layer to another origin; only the environment's do, which the
operator gives beside settings of their own.

Which layer a base URL comes from decides how far it is trusted: the environment, the store, the settings, the form's
own default and bound models are the operator's; what a call brings was typed by a user of the application.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast, final
from weakref import WeakKeyDictionary

from modelhub.configuration.environment import credential_variable
from modelhub.configuration.settings import CredentialSource, Settings, credentials_of_environment
from modelhub.credentials.references import is_dynamic, is_reference, leaves, resolved
from modelhub.errors import ConfigurationError, CredentialsInvalid, ModelHubError
from modelhub.rules.forms import filled, layered, model_form
from modelhub.rules.names import did_you_mean
from modelhub.runtime.single_flight import SingleFlight
from modelhub.types.credential import Credential, CredentialKey
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


@final
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class GivenCredentials:
    """Credentials that a call or a bound model brings; the same object is the same credentials.

    Attributes:
        provider: Whose they are: no other provider of the call sees them.
        sources: In the order to try them.
        lasting: Whether they will be used again.
        tenant: Whether users of the application typed them, so that a base URL among them is theirs.
        tenant_below: Whether they typed what the sources stand over as well, which is the bound model's.
    """

    provider: str
    sources: Sequence[CredentialSource]
    lasting: bool = False
    tenant: bool = True
    tenant_below: bool = False


@dataclass(frozen=True, slots=True)
class Usable:
    """A provider's credentials that can be used.

    Attributes:
        credentials: In the order to try them.
        refused: The ids of those that cannot be used.
        changes: Whether a value is asked for anew at each call.
        renewable: Whether what they were made of may be another the next time it is read.
    """

    credentials: tuple[Credential, ...]
    refused: tuple[str, ...] = ()
    changes: bool = False
    renewable: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose credentials are asked for; see `Credentials.usable`."""

    plugin: Plugin
    model: str
    kind: ModelType | None
    given: GivenCredentials | None
    name: str | None


@dataclass(frozen=True, slots=True)
class _Layers:
    """What a credential's values are made of, those that count less first.

    Attributes:
        id: The credential's name.
        lower: What is stored and configured for the provider; the environment stands below all of it.
        upper: What is given for the model, the bound model or the call: a secret of those below does not follow it to
            another origin.
        typed: What users of the application typed, over all of it.
    """

    id: str
    lower: tuple[Mapping[str, JSON], ...]
    upper: tuple[Mapping[str, JSON], ...] = ()
    typed: tuple[Mapping[str, JSON], ...] = ()

    def under(self, source: CredentialSource, *, typed: int = 0) -> _Layers:
        """Return these layers with a source over them, which gives its name.

        Args:
            source: Its layers count more than these.
            typed: How many of its layers, from the last, users of the application typed.
        """
        own = len(source.layers) - typed
        upper, over = source.layers[:own], source.layers[own:]
        return _Layers(source.id, self.lower, (*self.upper, *filter(None, upper)), tuple(filter(None, over)))

    @property
    def all(self) -> tuple[Mapping[str, JSON], ...]:
        """All layers."""
        return self.lower + self.upper + self.typed


@final
class Credentials:
    """Fills in forms, and remembers what came of it.

    Args:
        settings: What is configured.
        store: Where more of them are kept, or ``None``.

    Attributes:
        edition: Another number once anything that was found may not hold any more.
    """

    def __init__(self, settings: Settings, store: CredentialStore | None = None) -> None:
        self._settings = settings
        self._store = store
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
        key = (plugin.id, model, kind, name)
        known = memory.get(key)
        if known is not None:
            return known
        kept = partial(self._kept, memory, key, _Wanted(plugin, model, kind, given, name))
        return await self._flights.run((key, given, self._forgotten.get(plugin.id)), kept)

    async def _kept(self, memory: MutableMapping[_Key, Usable], key: _Key, wanted: _Wanted) -> Usable:
        forgotten = self._forgotten.get(wanted.plugin.id)
        usable = await self._found(wanted)
        if not usable.changes and forgotten == self._forgotten.get(wanted.plugin.id):
            if len(memory) >= _REMEMBERED:
                memory.clear()
            memory[key] = usable
        return usable

    async def names(self, plugin: Plugin, model: str = "") -> Sequence[str]:
        """Return the ids of the credentials configured and stored for a model: its own, else the provider's."""
        sources = await self._of_model(plugin, model) or await self._of_provider(plugin)
        return [source.id for source in sources]

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

    async def _found(self, wanted: _Wanted) -> Usable:
        plugin, given = wanted.plugin, wanted.given
        form, layers = await self._layers(plugin, wanted.model)
        if wanted.name is not None:
            layers = [each for each in layers if each.id == wanted.name] or layers
        if given is not None:
            # What a bound model or a call gives stands over the first credential there is.
            sources = [_without_references(source.placed(form, plugin.id), plugin.id) for source in given.sources]
            layers = [layers[0].under(source, typed=_typed(given, source)) for source in sources]
        credentials: list[Credential] = []
        refused: list[str] = []
        first_error: ModelHubError | None = None
        for each in layers:
            try:
                credentials.append(await self._filled(form, each, plugin, wanted.kind))
            except ModelHubError as error:
                first_error = first_error or error
                refused.append(each.id)
        if first_error is not None and not credentials:
            self._stored.pop(plugin.id, None)  # what is missing may be put there now
            raise first_error if given is not None else _with_places(first_error, plugin.id)
        values = [layer for each in layers for layer in each.all]
        renewable = self._store is not None or any(map(_refers, values))
        return Usable(tuple(credentials), tuple(refused), any(map(is_dynamic, values)), renewable)

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
        form, layers = await self._layers(plugin, model)
        found = next((each for each in layers if each.id == name), None)
        if found is None:
            remedy = did_you_mean(name, [each.id for each in layers], what="credentials")
            raise ConfigurationError(f"provider {plugin.id!r} has no credential {name!r}", remedy=remedy)
        return await self._filled(form, found, plugin, kind)

    async def _layers(self, plugin: Plugin, model: str) -> tuple[Sequence[FormField], list[_Layers]]:
        """Return the form to fill in, and what each credential is made of."""
        own = await self._of_model(plugin, model)
        schema = plugin.schema
        form = model_form(schema) if schema.model_credential_schema and (own or not schema.form) else schema.form
        sources = [source.placed(form, plugin.id) for source in await self._of_provider(plugin)]
        layers = [_Layers(source.id, tuple(filter(None, source.layers))) for source in sources]
        if own:
            layers = [_of_same_name(layers, source).under(source.placed(form, plugin.id)) for source in own]
        return form, layers

    async def _filled(
        self, form: Sequence[FormField], layers: _Layers, plugin: Plugin, kind: ModelType | None
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
        key = _identity(layers) if any(map(is_dynamic, layers.all)) else None
        return filled(
            form,
            values,
            provider=plugin.id,
            id=layers.id,
            model_type=kind,
            key=key,
            trusted=trusted if typed else None,
        )

    async def _of_provider(self, plugin: Plugin) -> Sequence[CredentialSource]:
        """Return a provider's credentials as configured, with what is stored by the same names below them."""
        stored = {each.name: _values(each) for each in await self._in_store(plugin.id) if each.model is None}
        configured = self._settings.credentials.get(plugin.id) or ()
        sources = [replace(source, below=stored.pop(source.id, {})) for source in configured]
        sources += [CredentialSource(values, name) for name, values in stored.items()]
        return sources or _DEFAULT

    async def _of_model(self, plugin: Plugin, model: str) -> Sequence[CredentialSource]:
        """Return the credentials that belong to one model."""
        table = self._settings.models.get(f"{plugin.id}/{model}")
        configured = table.credentials if table is not None else ()
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


def _typed(given: GivenCredentials, source: CredentialSource) -> int:
    """Return how many of a source's layers, from the last, users of the application typed."""
    if given.tenant_below:
        return len(source.layers)
    return 1 if given.tenant and not source.operator else 0


def _of_same_name(layers: Sequence[_Layers], source: CredentialSource) -> _Layers:
    """Return the provider's credential that one of a model stands over: that of the same name, else the first."""
    return next((each for each in layers if each.id == source.id), layers[0])


def _values(stored: StoredCredential) -> Mapping[str, JSON]:
    """Return the values of a stored credential, whose secrets are read with the references of the others."""
    return cast("Mapping[str, JSON]", stored.values)


def _without_references(source: CredentialSource, provider: str) -> CredentialSource:
    """Return what a bound model or a call gives, where it refers to nothing.

    Such values may be what users of the application typed: whoever writes ``file:…`` beside a base URL of their own
    would be sent the application's files.

    Raises:
        CredentialsInvalid: A value is a reference.
    """
    given = [name for layer in source.layers for name, value in layer.items() if _refers({name: value})]
    if given:
        problem = "it refers to a value elsewhere, which only settings and store may do"
        message = f"the credential {source.id!r} of provider {provider!r} cannot be used: {given[0]}: {problem}"
        remedy = "give what modelhub.credentials.resolved(…) returns for values of your own, literal(…) for users' ones"
        raise CredentialsInvalid(message, fields=dict.fromkeys(given, problem), remedy=remedy)
    return source


def _refers(values: Mapping[str, object]) -> bool:
    """Whether a value stands elsewhere, where it may be changed."""
    return any(is_reference(leaf) for _, leaf in leaves(values))


def _identity(layers: _Layers) -> CredentialKey:
    """Return what is the same for a credential however often its values change: where they come from.

    A function stands for itself, and for no other that looks like it; it is kept, so that none takes its address.
    """
    given = [[*leaves(each)] for each in layers.all]
    functions = tuple(_Function(leaf) for each in given for _, leaf in each if callable(leaf))
    plain = [[(place, None if callable(leaf) else leaf) for place, leaf in each] for each in given]
    return CredentialKey((layers.id, plain), functions)


@final
class _Function:
    """A function as a key, also where it has no hash of its own."""

    __slots__ = ("_function",)

    def __init__(self, function: object) -> None:
        self._function = function

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Function):
            return NotImplemented
        mine, theirs = self._function, other._function
        return mine is theirs or (_hashable(mine) and _hashable(theirs) and bool(mine == theirs))

    def __hash__(self) -> int:
        return hash(self._function) if _hashable(self._function) else id(self._function)


def _hashable(value: object) -> bool:
    return type(value).__hash__ is not None
