"""What is wrong with settings beside the plugins that are installed: providers, forms, models and references.

Owns the questions that reading a file cannot answer, because only manifests, the store and the surroundings do. It is
told what there is, and imports no plugin.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias, cast

from modelhub.configuration.credentials import CredentialSource
from modelhub.configuration.environment import credential_variable, credentials_of_environment, unknown_variables
from modelhub.configuration.installed_routes import Described, RouteChecks
from modelhub.configuration.problems import Complaint, ConfigProblem, Keys, shown_key
from modelhub.configuration.routes import deployment_named, entries
from modelhub.configuration.settings import Settings
from modelhub.configuration.sharing import shared_url
from modelhub.configuration.tables import DeploymentTable
from modelhub.credentials.references import is_open_to_others, is_reference, resolved
from modelhub.credentials.store import StoredCredential
from modelhub.errors import ConfigurationError, CredentialsInvalid
from modelhub.provider.threads import run_in_thread
from modelhub.rules.forms import layered, model_form, problems
from modelhub.rules.names import did_you_mean
from modelhub.types.credential import CredentialValue
from modelhub.types.forms import FormField
from modelhub.types.json import JSON
from modelhub.types.plugins import PluginState, ProviderInfo
from modelhub.types.problems import FieldProblem

__all__ = ["Finding", "Installed", "Severity", "installed_findings"]

Severity: TypeAlias = Literal["error", "warning"]
"""Whether something fails that the settings ask for, or only may."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and how bad it is."""

    problem: ConfigProblem
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Installed:
    """What there is beside the settings.

    Attributes:
        providers: Every plugin, by id.
        models: The names of all models that a provider has, by its id; providers that may have others are left out.
        stored: The credentials in the store.
        described: The models that manifests describe, by provider.
    """

    providers: Mapping[str, ProviderInfo]
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stored: Sequence[StoredCredential] = ()
    described: Mapping[str, Described] = field(default_factory=dict)


async def installed_findings(settings: Settings, installed: Installed, environ: Mapping[str, str]) -> list[Finding]:
    """Return everything that is wrong with settings which can be read, in the order of the file.

    Args:
        settings: The settings.
        installed: What they are compared with.
        environ: The environment.
    """
    source = settings.source
    open_file = source is not None and await run_in_thread(partial(_is_open, source), name="settings")
    checks = _Checks(settings, installed, environ, open_file)
    found = [*checks.providers(), *checks.targets(), *[each async for each in _credential_complaints(checks)]]
    found += [(each, False) for each in RouteChecks(settings, installed.providers, installed.described).complaints()]
    found += [(each, True) for each in await _sharing_complaints(settings)]
    by_problem: dict[ConfigProblem, Severity] = {}
    for severity, wanted in (("error", True), ("warning", False)):
        complaints = [complaint for complaint, serious in found if serious is wanted]
        for problem in settings.document.problems(complaints):
            by_problem.setdefault(problem, cast("Severity", severity))
    forms = {id: info.schema.form for id, info in installed.providers.items() if info.schema is not None}
    found_there = [Finding(each, by_problem[each]) for each in by_problem]
    found_there.sort(key=lambda each: each.problem.line or math.inf)
    unknown = [Finding(each, "warning") for each in unknown_variables(environ, forms)]
    return [*found_there, *map(Finding, _of_environment(forms, environ)), *unknown]


def _is_open(path: Path) -> bool:
    try:
        return is_open_to_others(path, path.stat())
    except OSError:
        return False


async def _sharing_complaints(settings: Settings) -> list[Complaint]:
    """Return what is wrong with the server that processes share: its URL is nowhere, or nothing here can talk to it."""
    try:
        url = await shared_url(settings)
    except ConfigurationError as error:
        overridden = ("sharing", "redis") in settings.overridden  # then the message says by which variable
        message = error.message if overridden else error.message.partition(": ")[2]
        return [Complaint(("sharing", "redis"), message, error.remedy)]
    if url is None or find_spec("redis") is not None:
        return []
    remedy = "install it: pip install 'modelhub-core[redis]'"
    return [Complaint(("sharing", "redis"), "sharing state needs the package redis", remedy)]


def _of_environment(forms: Mapping[str, Sequence[FormField]], environ: Mapping[str, str]) -> Iterator[ConfigProblem]:
    """Yield what forms say of values that the environment gives; what is missing there may be given elsewhere."""
    for provider, form in forms.items():
        given = credentials_of_environment(provider, form, environ)
        for problem in problems(form, cast("Mapping[str, CredentialValue]", given)):
            variable = re.split(r"[.\[]", problem.path)[0]
            if variable in given:
                name = credential_variable(provider, variable)
                yield ConfigProblem("the environment", None, name, problem.message, "see the provider's form")


_Found: TypeAlias = tuple[Complaint, bool]
"""A complaint, and whether it is an error."""


@dataclass(frozen=True, slots=True)
class _Checks:
    """The settings beside what is installed."""

    settings: Settings
    installed: Installed
    environ: Mapping[str, str]
    open_file: bool = False

    @property
    def folder(self) -> Path | None:
        """What relative paths of references start from."""
        return self.settings.source.parent if self.settings.source is not None else None

    def providers(self) -> Iterator[_Found]:
        """Yield what is wrong with the providers that tables are named after."""
        for id in self.settings.credentials:
            yield from self.named(id, ("credentials", id))
        for name, overlay in self.settings.models.items():
            yield from self.named(overlay.provider, ("models", name))
        for id in (*self.settings.plugins.overlays, *self.settings.plugins.rows):
            keys = ("providers", id)
            yield from self.named(id, keys)
            info = self.installed.providers.get(id)
            for notice in info.notices if info is not None else ():
                yield Complaint(keys, notice, "see the page on manifests for the keys there are"), False

    def named(self, id: str, keys: Keys) -> Iterator[_Found]:
        """Yield what is wrong with naming a provider: there is none, or it cannot be used."""
        info = self.installed.providers.get(id)
        if info is None:
            remedy = did_you_mean(id, self.installed.providers, what="installed providers")
            yield Complaint(keys, f"there is no provider {shown_key(id)}", remedy), True
        elif not info.usable:
            message = f"the provider {shown_key(id)} cannot be used: {info.reason or info.state.value}"
            yield Complaint(keys, message, info.remedy), info.state is not PluginState.DISABLED

    def targets(self) -> Iterator[_Found]:
        """Yield what is wrong with what deployments and routes lead to."""
        for name, table in self.settings.deployments.items():
            written = cast("Mapping[str, Mapping[str, object]]", self.settings.document.value["deployments"])[name]
            keys: Keys = ("deployments", name)
            yield from self._target(table, (*keys, "target" if written.get("target") else "provider"), keys)
            for provider in table.vendor:
                yield from self.named(provider, (*keys, "vendor", provider))
        names = {*self.settings.deployments, *self.settings.routes}
        for keys, entry in entries(self.settings.routes):
            if "/" in entry or entry in self.installed.providers:
                if entry not in names:
                    yield from self._target(deployment_named(entry), keys, keys)
            elif entry not in names:
                what = "deployments, routes and providers"
                remedy = did_you_mean(entry, {*names, *self.installed.providers}, what=what)
                yield Complaint(keys, f"there is no deployment, route or provider {shown_key(entry)}", remedy), True

    def _target(self, table: DeploymentTable, keys: Keys, whole: Keys) -> Iterator[_Found]:
        found = list(self.named(table.provider, keys))
        yield from found
        if found:
            return
        info = self.installed.providers[table.provider]
        overlay = self.settings.models.get(f"{table.provider}/{table.model}")
        if not table.model and info.schema is not None and info.schema.default_model is None:
            yield Complaint(keys, "it names no model, and the provider has no default one", "name a model"), True
        elif overlay is not None and overlay.remove:
            yield Complaint(keys, f"[models] takes {shown_key(overlay.name)} away", "take `remove` out there"), True
        elif table.model and overlay is None and table.provider in self.installed.models:
            names = self.installed.models[table.provider]
            if table.model not in names:
                message = f"the provider {shown_key(table.provider)} has no model {shown_key(table.model)}"
                yield Complaint(keys, message, did_you_mean(table.model, names, what="models")), True
        if table.credential is not None:
            place = (*whole, "credential") if keys != whole and self._written(whole, "credential") else keys
            yield from self._credential(table, table.credential, place)

    def _written(self, keys: Keys, key: str) -> bool:
        value: object = self.settings.document.value
        for each in (*keys, key):
            if not isinstance(value, Mapping) or each not in value:
                return False
            value = value[each]
        return True

    def _credential(self, table: DeploymentTable, name: str, keys: Keys) -> Iterator[_Found]:
        overlay = self.settings.models.get(f"{table.provider}/{table.model}")
        sources = [*self.settings.credentials.get(table.provider, ()), *(overlay.credentials if overlay else ())]
        known = [source.id for source in sources]
        known += [
            each.name
            for each in self.installed.stored
            if each.provider == table.provider and each.model in {None, table.model}
        ]
        if name not in (known or ["default"]) and not any(source.answers_to(name) for source in sources):
            message = f"{shown_key(table.provider)} has no credential {shown_key(name)}"
            yield Complaint(keys, message, did_you_mean(name, known or ["default"], what="credentials")), True

    def exposed(self, credential: _Layers, keys: Keys) -> Iterator[_Found]:
        """Yield the secrets of a credential that stand in a file which others can read."""
        if not self.open_file:
            return
        written = [*credential.lower, *credential.upper][-1]
        for each in credential.form:
            value = written.get(each.variable)
            if each.secret and value and not is_reference(value):
                message = "it is a secret, and other users of this machine can read the file"
                remedy = f"chmod 600 {self.settings.source}, or refer to it by env:, file: or keyring:"
                yield Complaint((*keys, each.variable), message, remedy), False

    def stored(self, provider: str, name: str, model: str | None = None) -> Mapping[str, object]:
        """Return the values of a stored credential; none where there is no such one."""
        wanted = (provider, model, name)
        return next((each.values for each in self.installed.stored if each.key == wanted), {})


async def _credential_complaints(checks: _Checks) -> AsyncIterator[_Found]:
    """Yield what is wrong with the values of credentials: fields that no form has, and references to nothing."""
    settings = checks.settings
    for provider, sources in settings.credentials.items():
        info = checks.installed.providers.get(provider)
        if info is None or info.schema is None:
            continue
        for keys, source in _placed(sources, settings.document.value, ("credentials", provider)):
            values, complaints = _values(source, info.schema.form, provider, keys)
            layers = _Layers(provider, info.schema.form, [checks.stored(provider, source.id), values])
            for each in complaints or await _form_complaints(checks, layers, keys):
                yield each
    for name, overlay in settings.models.items():
        info = checks.installed.providers.get(overlay.provider)
        if info is None or info.schema is None:
            continue
        form = model_form(info.schema)
        for keys, source in _placed(overlay.credentials, settings.document.value, ("models", name, "credentials")):
            under, _ = _values(_under(settings.credentials.get(overlay.provider, ()), source.id), form, name, keys)
            values, complaints = _values(source, form, overlay.provider, keys)
            lower = [checks.stored(overlay.provider, source.id), under]
            upper = [checks.stored(overlay.provider, source.id, overlay.model), values]
            layers = _Layers(overlay.provider, form, lower, upper)
            for each in complaints or await _form_complaints(checks, layers, keys):
                yield each


def _values(
    source: CredentialSource | None, form: Sequence[FormField], provider: str, keys: Keys
) -> tuple[Mapping[str, JSON], list[_Found]]:
    """Return a credential's values by the form's variables, and what is wrong where it is a base URL alone."""
    if source is None:
        return {}, []
    try:
        return source.placed(form, provider).values, []
    except ConfigurationError as error:
        return {}, [(Complaint(keys, error.message, error.remedy), True)]


def _placed(
    sources: Sequence[CredentialSource], document: Mapping[str, object], keys: Keys
) -> Iterator[tuple[Keys, CredentialSource]]:
    """Yield credentials with the keys that lead to their values."""
    given: object = document
    for key in keys:
        given = cast("Mapping[str, object]", given).get(str(key), {})
    rows = [given] if isinstance(given, Mapping) or callable(given) else cast("Sequence[object]", given)
    for number, (row, source) in enumerate(zip(rows, sources, strict=False)):
        if source.function is not None:
            continue  # what it returns is not known before it is called
        place = keys if isinstance(given, Mapping) else (*keys, number)
        named = isinstance(row, Mapping) and isinstance(row.get("values"), Mapping)
        yield ((*place, "values") if named else place), source


def _under(sources: Sequence[CredentialSource], name: str) -> CredentialSource | None:
    """Return the provider's credential that a model's stands over: that of the same name, else the first."""
    return next((each for each in sources if each.id == name), sources[0] if sources else None)


@dataclass(frozen=True, slots=True)
class _Layers:
    """The values that a credential is made of.

    Attributes:
        provider: Whose form it is.
        form: The fields.
        lower: What is kept and configured for the provider; the environment stands below it.
        upper: What is kept and configured for a model.
    """

    provider: str
    form: Sequence[FormField]
    lower: Sequence[Mapping[str, object]]
    upper: Sequence[Mapping[str, object]] = ()

    def whole(self, read: Sequence[Mapping[str, JSON]], environ: Mapping[str, str]) -> Mapping[str, CredentialValue]:
        """Put the layers over each other as a call does it, once they were read."""
        count = len(self.lower)
        given = credentials_of_environment(self.provider, self.form, environ)
        below = {**given, **layered(self.form, *read[:count])}
        return cast("Mapping[str, CredentialValue]", layered(self.form, below, *read[count:]))


async def _form_complaints(checks: _Checks, credential: _Layers, keys: Keys) -> list[_Found]:
    """Return what a form says of values, of which the last layer stands in the file at ``keys``.

    What is missing may come with a call, so that is no error.
    """
    layers = [*credential.lower, *credential.upper]
    found: list[_Found] = []
    unread: set[str] = set()
    read: list[Mapping[str, JSON]] = []
    for layer in layers:
        values, failures = await _resolved(layer, checks.folder)
        read.append(values)
        unread |= {path.partition(".")[0] for path in failures}
        if layer is layers[-1]:
            remedy = "whoever runs the program must put it there, or say where it is"
            found += [(Complaint((*keys, *path.split(".")), said, remedy), True) for path, said in failures.items()]
    found += checks.exposed(credential, keys)
    for problem in problems(credential.form, credential.whole(read, checks.environ)):
        variable = re.split(r"[.\[]", problem.path)[0]
        if variable not in unread:
            place = (*keys, variable) if variable in layers[-1] else keys
            said = problem.message if place != keys else f"{problem.path}: {problem.message}"
            found.append((Complaint(place, said, _remedy(problem, credential)), problem.code != "required"))
    return found


def _remedy(problem: FieldProblem, credential: _Layers) -> str:
    if problem.code == "required":
        variable = credential_variable(credential.provider, problem.path)
        return f"give it there, set {variable}, or run `modelhub credentials add {credential.provider}`"
    if problem.code.startswith("unknown"):
        return f"fields: {', '.join(dict.fromkeys(field.variable for field in credential.form))}"
    return "see the provider's form"


async def _resolved(values: Mapping[str, object], folder: Path | None) -> tuple[Mapping[str, JSON], Mapping[str, str]]:
    """Return what values stand for, those left out that lead to nothing; and what is wrong with these, by path."""
    try:
        return await resolved(values, folder=folder), {}
    except CredentialsInvalid as error:
        failures = error.fields
    left = {name: value for name, value in values.items() if name not in {each.partition(".")[0] for each in failures}}
    return await resolved(left, folder=folder), failures
