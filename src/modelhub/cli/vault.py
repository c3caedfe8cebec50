"""What the commands of credentials work on: the settings, the store that the hub uses too, and the providers' forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelhub.cli.command import Command
from modelhub.cli.failures import one_line
from modelhub.cli.texts import _
from modelhub.configuration.credentials import CredentialSource, endpoint_field
from modelhub.configuration.environment import credential_variable, credentials_of_environment, environment
from modelhub.configuration.settings import Settings, read_settings
from modelhub.configuration.store import configured_store
from modelhub.credentials import EncryptedFileStore, MemoryStore, StoredCredential, masked
from modelhub.errors import ConfigurationError
from modelhub.provider.threads import run_in_thread
from modelhub.rules.forms import layered, model_form
from modelhub.rules.names import did_you_mean
from modelhub.types.forms import FormField
from modelhub.types.json import JSON
from modelhub.types.schema import ModelType

if TYPE_CHECKING:
    import datetime as dt

    from modelhub.types.plugins import ProviderInfo, ValidationReport
    from modelhub.types.schema import ProviderSchema

__all__ = ["Known", "Vault", "opened", "validated"]


@dataclass(frozen=True, slots=True)
class Known:
    """A credential as it is listed, with its secrets masked.

    Attributes:
        provider: The provider's id.
        name: Its name; ``None`` for what the environment gives to all of the provider's.
        model: The model that it is for alone.
        values: By variable.
        source: ``store``, ``settings`` or ``environment``.
        place: Where in it: the file, the file and the line, the variables.
        created, updated: When it was first and last put into the store.
    """

    provider: str
    name: str | None
    model: str | None
    values: Mapping[str, JSON]
    source: str
    place: str
    created: dt.datetime | None = None
    updated: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Vault:
    """Everything about credentials that there is here.

    Attributes:
        settings: What is configured.
        store: Where credentials are kept; ``None`` where the settings switch it off, or nothing was kept yet.
        stored: What the store holds.
        providers: Every provider, by id.
    """

    settings: Settings
    store: EncryptedFileStore | None
    stored: Sequence[StoredCredential] = field(repr=False)
    providers: Mapping[str, ProviderInfo]

    @property
    def folder(self) -> Path | None:
        """What relative paths in references start from."""
        return self.settings.source.parent if self.settings.source is not None else None

    def schema(self, provider: str) -> ProviderSchema:
        """Return a provider's manifest.

        Raises:
            ConfigurationError: There is no such provider, or its manifest cannot be read.
        """
        info = self.providers.get(provider)
        if info is None:
            remedy = did_you_mean(provider, self.providers, what="installed providers")
            raise ConfigurationError(f"there is no provider {provider!r}", remedy=remedy)
        if info.schema is None:
            raise ConfigurationError(f"the provider {provider!r} cannot be used: {info.reason}", remedy=info.remedy)
        return info.schema

    def form(self, provider: str, model: str | None) -> Sequence[FormField]:
        """Return the form of a provider, or of its models; none where nobody knows it."""
        info = self.providers.get(provider)
        if info is None or info.schema is None:
            return ()
        own = model is not None and info.schema.model_credential_schema is not None
        return model_form(info.schema) if own else info.schema.form

    def kept_by(self, provider: str, name: str | None, model: str | None) -> StoredCredential:
        """Return a stored credential; without a name the only one there is.

        Raises:
            ConfigurationError: There is none of that name, or there are several and none was named.
        """
        found = [each for each in self.stored if (each.provider, each.model) == (provider, model)]
        names = [each.name for each in found]
        of = provider if model is None else f"{provider}/{model}"
        if name is None and len(found) > 1:
            remedy = f"say which with --name: {', '.join(names)}"
            raise ConfigurationError(f"there are {len(found)} stored credentials of {of}", remedy=remedy)
        wanted = name or (names[0] if names else "default")
        credential = next((each for each in found if each.name == wanted), None)
        if credential is None:
            near = did_you_mean(wanted, names, what="stored credentials")
            remedy = near if names else f"`modelhub credentials add {provider}` keeps one"
            raise ConfigurationError(f"there is no stored credential {wanted!r} of {of}", remedy=remedy)
        return credential

    async def has(self, provider: str, name: str, model: str | None) -> bool:
        """Tell whether the store has a credential that opens, also where others in it do not."""
        if self.store is None:
            return False
        try:
            await self.store.get(provider, name, model)
        except ConfigurationError:
            return False
        return True

    def type_of(self, provider: str, name: str, model: str | None) -> ModelType | None:
        """Return the type of the model that a stored credential is for, where it was said."""
        kept = next((each for each in self.stored if each.key == (provider, model, name)), None)
        return ModelType(kept.model_type) if kept is not None and kept.model_type is not None else None

    def below(self, provider: str, name: str, model: str | None) -> Mapping[str, object]:
        """Return what a credential that is kept here will stand over: those of its values need not be given.

        Args:
            provider: The provider's id.
            name: The credential's name.
            model: The model that it is for alone; then it stands over the provider's own of that name, else the first.
        """
        form = self.form(provider, model)
        environ = credentials_of_environment(provider, form, environment())
        if model is None:
            return environ
        kept = {each.name: each.values for each in self.stored if (each.provider, each.model) == (provider, None)}
        configured = {each.id: each.values for each in self.settings.credentials.get(provider, ())}
        names = [*configured, *kept]
        chosen = name if name in names else next(iter(names), "")
        return {**environ, **layered(form, kept.get(chosen, {}), configured.get(chosen, {}))}

    def known(self, provider: str | None = None) -> Iterator[Known]:
        """Yield the credentials of a provider or of all: stored, configured, the environment's."""
        for stored in self.stored:
            if provider in {None, stored.provider}:
                values = masked(stored.values, self.form(stored.provider, stored.model))
                place = str(self.store.path) if self.store is not None else ""
                times = (stored.created, stored.updated)
                yield Known(stored.provider, stored.name, stored.model, values, "store", place, *times)
        for id, sources in self.settings.credentials.items():
            if provider in {None, id}:
                yield from self._configured(id, None, sources, ("credentials", id))
        for name, overlay in self.settings.models.items():
            if provider in {None, overlay.provider}:
                keys = ("models", name, "credentials")
                yield from self._configured(overlay.provider, overlay.model, overlay.credentials, keys)
        for id in self.providers if provider is None else [provider]:
            form = self.form(id, None)
            given = credentials_of_environment(id, form, environment())
            if given:
                place = ", ".join(credential_variable(id, variable) for variable in given)
                yield Known(id, None, None, masked(given, form), "environment", place)

    def _configured(
        self, provider: str, model: str | None, sources: Sequence[CredentialSource], keys: tuple[str, ...]
    ) -> Iterator[Known]:
        form = self.form(provider, model)
        for number, source in enumerate(sources):
            place = self.settings.place(*keys, *((number,) if len(sources) > 1 else ()))
            # A base URL alone that no form has a field for is shown as a secret, and its use is refused elsewhere.
            values = source.values if endpoint_field(form) is None else source.placed(form, provider).values
            yield Known(provider, source.id, model, masked(values, form), "settings", place)


async def opened(command: Command, *, make: bool = False, damaged: bool = False) -> Vault:
    """Read the settings, the store and the manifests.

    Args:
        command: The command that runs.
        make: Whether something will be put into the store, which is made then.
        damaged: Whether to go on, with a note, where something in the store does not open: it can be replaced and
            removed all the same.

    Raises:
        ConfigurationError: The settings or the store cannot be used.
    """
    from modelhub.runtime.plugins import PluginRegistry  # noqa: PLC0415  it takes long to import

    def read() -> tuple[Settings, EncryptedFileStore | None]:
        settings = read_settings(command.config)
        return settings, configured_store(settings, make=make)

    settings, store = await run_in_thread(read, name="settings")
    if make and store is None:
        remedy = "take enabled = false out of [store], or unset MODELHUB_STORE_ENABLED"
        raise ConfigurationError("the settings switch the store of credentials off", remedy=remedy)
    stored: Sequence[StoredCredential] = ()
    try:
        stored = await store.list() if store is not None else ()
    except ConfigurationError as error:
        if not damaged:
            raise
        command.terminal.note(_("note: {notice}").format(notice=one_line(error.message)), fg="yellow")
    infos = await PluginRegistry(settings.plugins).infos()
    return Vault(settings, store, stored, {each.id: each for each in infos})


async def validated(command: Command, vault: Vault, candidate: StoredCredential) -> ValidationReport:
    """Check a credential as if it were in the store already, which it is not."""
    others = [each for each in vault.stored if each.provider == candidate.provider and each.key != candidate.key]
    store = await run_in_thread(partial(MemoryStore, [*others, candidate]), name="candidate")
    async with command.hub(store) as hub:
        return await hub.validate(
            candidate.provider,
            model=candidate.model,
            model_type=None if candidate.model_type is None else ModelType(candidate.model_type),
            credential=candidate.name,
        )
