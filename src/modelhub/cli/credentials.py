"""``credentials add``, ``rotate`` and ``remove``: what providers are called with, put into the store and out of it.

The form is asked for in the main thread, where Ctrl-C works; an event loop runs before it and after it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, cast

import typer

from modelhub.cli.command import Command
from modelhub.cli.failures import FAILED
from modelhub.cli.options import flag, option, provider_argument, type_option
from modelhub.cli.problems import Complaint, report_document, show_complaints, show_report
from modelhub.cli.progress import Display
from modelhub.cli.texts import _, label
from modelhub.errors import ConfigurationError
from modelhub.types.schema import ModelType

if TYPE_CHECKING:
    from modelhub.cli.questions import Questions
    from modelhub.cli.vault import Vault
    from modelhub.credentials import CredentialValue as StoredValue
    from modelhub.credentials import StoredCredential
    from modelhub.types.credential import CredentialValue
    from modelhub.types.forms import FormField
    from modelhub.types.plugins import ValidationReport
    from modelhub.types.schema import ProviderSchema

__all__ = ["credentials_add", "credentials_remove", "credentials_rotate"]


def _name_option(text: str) -> object:
    return option("--name", _("NAME"), text)


def _model_option() -> object:
    return option("--model", _("MODEL"), _("The model that it is for alone."))


def _check_option() -> object:
    return flag("--check/--no-check", _("Check it with the vendor before it is kept, or do without."))


def credentials_add(
    command: Command,
    provider: Annotated[str, provider_argument()],
    *,
    name: Annotated[
        str, _name_option(_("Its name, where a provider has several; default where none is given."))
    ] = "default",
    model: Annotated[str | None, _model_option()] = None,
    type: Annotated[ModelType | None, type_option()] = None,
    check: Annotated[bool, _check_option()] = True,
    replace: Annotated[bool, flag("--replace", _("Take the place of one of that name."))] = False,
) -> int:
    """Fill in a provider's form, check it and keep it in the store."""
    import anyio  # noqa: PLC0415  --help does without

    from modelhub.cli.vault import opened  # noqa: PLC0415  likewise
    from modelhub.credentials import StoredCredential, secured  # noqa: PLC0415

    vault: Vault = anyio.run(lambda: opened(command, make=True, damaged=True))
    schema = vault.schema(provider)
    form = vault.form(provider, model)
    questions = _questions(command)
    if not replace and anyio.run(lambda: vault.has(provider, name, model)):
        replaces = _("There is a credential {name} of {provider} already. Replace it?")
        if questions is None or not questions.yes(replaces.format(name=name, provider=provider)):
            remedy = "--replace takes its place, --name gives another name, `modelhub credentials rotate` changes it"
            raise ConfigurationError(f"there is a stored credential {name!r} of {provider} already", remedy=remedy)
    kind = _kind(schema, type, model, form, questions)
    if questions is not None:
        _introduce(command, schema, form)
    subject = StoredCredential(provider, name, {}, model, None if kind is None else str(kind))
    values = _filled(command, vault, subject, questions, check=check)
    if values is None:
        return FAILED
    candidate = _with(subject, secured(values, form))
    return _keep(command, vault, candidate, questions, check=check)


def _with(subject: StoredCredential, values: Mapping[str, object]) -> StoredCredential:
    return replace(subject, values=cast("Mapping[str, StoredValue]", values))


def _questions(command: Command) -> Questions | None:
    """Return who asks; nobody where no person would see the questions and could answer them."""
    if command.terminal.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    from modelhub.cli.questions import Questions  # noqa: PLC0415  wanted only here

    return Questions(command.terminal)


def _kind(
    schema: ProviderSchema,
    given: ModelType | None,
    model: str | None,
    form: Sequence[FormField],
    questions: Questions | None,
) -> ModelType | None:
    """Return the type of the model that a form is for; asked for where the form wants to know."""
    from modelhub.rules.conditions import variables_of  # noqa: PLC0415  wanted only here
    from modelhub.rules.shown import MODEL_TYPE  # noqa: PLC0415

    kinds = list(schema.supported_model_types)
    if given is not None or model is None or not kinds:
        return given
    asked = {name for field in form for name in variables_of(field.show_on)}
    if len(kinds) == 1 or MODEL_TYPE not in asked:
        return kinds[0] if len(kinds) == 1 else None
    if questions is None:
        raise typer.BadParameter(_("it is needed here: {kinds}").format(kinds=", ".join(kinds)), param_hint="--type")
    return kinds[questions.choice(_("The model's type"), kinds)]


def _introduce(command: Command, schema: ProviderSchema, form: Sequence[FormField]) -> None:
    """Say whose form it is, where keys come from, and how it is filled in."""
    terminal = command.terminal
    terminal.heading(label(schema.label, schema.provider), "")
    if schema.help is not None:
        line = ": ".join(each for each in (label(schema.help.title), label(schema.help.url)) if each)
        if line:
            terminal.say(line)
    if form:
        terminal.say(_("env:NAME, file:PATH or keyring:SERVICE/USERNAME says where a value is kept. Ctrl-C ends."))
    terminal.say()


def _filled(
    command: Command, vault: Vault, subject: StoredCredential, questions: Questions | None, *, check: bool
) -> Mapping[str, CredentialValue] | None:
    """Return the values of a credential, or ``None`` after telling what is wrong with them.

    Args:
        command: The command that runs.
        vault: What there is beside it.
        subject: The credential as it stands.
        questions: Who asks.
        check: Whether it will be checked, so that references must lead somewhere.
    """
    from modelhub.cli.filling import Filling  # noqa: PLC0415  --help does without

    form = vault.form(subject.provider, subject.model)
    _warn_of_typed(command, form)
    filling = Filling(
        command.terminal,
        form,
        questions=questions,
        kind=None if subject.model_type is None else ModelType(subject.model_type),
        folder=vault.folder,
        lenient=not check,
        below=vault.below(subject.provider, subject.name, subject.model),
        bound=subject.model is not None,
    )
    kept = cast("Mapping[str, CredentialValue]", subject.values)
    filled = filling.fill(cast("Mapping[str, CredentialValue]", command.credentials or {}), kept)
    if not filled.complaints:
        return filled.values
    _show_unfilled(command, filled.complaints)
    return None


def _warn_of_typed(command: Command, form: Sequence[FormField]) -> None:
    """Warn of secrets in the arguments: other users see them while the program runs, and the history keeps them."""
    from modelhub.credentials import is_reference  # noqa: PLC0415  wanted only here

    plain = {field.variable for field in form} - {field.variable for field in form if field.secret}
    given = command.credentials or {}
    for variable in sorted(command.typed - plain):
        if not is_reference(given.get(variable)):
            text = _(
                "the value of {key} was in the arguments, which the shell's history keeps; --set {key} asks for it, "
                "--set {key}=- reads it from stdin"
            )
            command.terminal.note(_("note: {notice}").format(notice=text.format(key=variable)), fg="yellow")


def _show_unfilled(command: Command, complaints: Sequence[Complaint]) -> None:
    if command.terminal.json:
        paths: dict[str, str] = {each.path: each.text for each in complaints}
        error = {"type": "CredentialsInvalid", "message": _("the form is not filled in"), "fields": paths}
        command.terminal.line({"error": {**error, "problems": [each.document for each in complaints]}})
        return
    show_complaints(command.terminal, complaints)
    missing = [each.path for each in complaints if each.code == "required"]
    if missing:
        given = " ".join(f"--set {path}=…" for path in missing)
        command.terminal.note("  " + _("remedy: {remedy}").format(remedy=_("give {options}").format(options=given)))


def _keep(
    command: Command, vault: Vault, candidate: StoredCredential, questions: Questions | None, *, check: bool
) -> int:
    """Check a credential, unless that is left out, and put it into the store."""
    import anyio  # noqa: PLC0415  --help does without

    form = vault.form(candidate.provider, candidate.model)
    report: ValidationReport | None = None
    if check:
        report = anyio.run(lambda: _check(command, vault, candidate))
        if not command.terminal.json:
            show_report(command, report, form)
        if not report.ok and (questions is None or not questions.yes(_("Keep it all the same?"))):
            if command.terminal.json:
                command.terminal.document({**report_document(report), "name": candidate.name, "kept": False})
            else:
                command.terminal.note(_("nothing was kept"))
            return FAILED
    store = vault.store
    assert store is not None  # noqa: S101  it was opened to be written
    kept: StoredCredential = anyio.run(lambda: store.put(candidate))
    if command.terminal.json:
        checked = {} if report is None else {"stages": report.stages}
        facts = {"provider": kept.provider, "name": kept.name, "model": kept.model, "kept": True, "store": store.path}
        command.terminal.document({**facts, **checked, "values": _masked(kept, form)})
    else:
        said = _("The credential {name} of {provider} is kept in {path}.")
        command.terminal.say(said.format(name=kept.name, provider=_owner(kept), path=store.path))
        _tell_what_counts_more(command, vault, kept)
    return 0


def _tell_what_counts_more(command: Command, vault: Vault, kept: StoredCredential) -> None:
    """Say which of the values are never used, because the settings have others."""
    for each in vault.known(kept.provider):
        over = [name for name in each.values if name in kept.values]
        if each.source == "settings" and (each.name, each.model) == (kept.name, kept.model) and over:
            text = _("{place} gives {names} too, and counts more").format(place=each.place, names=", ".join(over))
            command.terminal.note(_("note: {notice}").format(notice=text), fg="yellow")


async def _check(command: Command, vault: Vault, candidate: StoredCredential) -> ValidationReport:
    from modelhub.cli.vault import validated  # noqa: PLC0415  --help does without

    with Display(command.terminal, waiting=_("checking {provider}").format(provider=candidate.provider)):
        return await validated(command, vault, candidate)


def _masked(credential: StoredCredential, form: Sequence[FormField]) -> Mapping[str, object]:
    from modelhub.credentials import masked  # noqa: PLC0415  wanted only here

    return masked(credential.values, form)


def _owner(credential: StoredCredential) -> str:
    return credential.provider if credential.model is None else f"{credential.provider}/{credential.model}"


def credentials_rotate(
    command: Command,
    provider: Annotated[
        str | None,
        typer.Argument(metavar=_("PROVIDER"), help=_("Whose credential to change."), show_default=False),
    ] = None,
    *,
    name: Annotated[str | None, _name_option(_("Which one, where there are several."))] = None,
    model: Annotated[str | None, _model_option()] = None,
    check: Annotated[bool, _check_option()] = True,
    key: Annotated[bool, flag("--key", _("Give the store a new key instead, and seal everything anew."))] = False,
    to: Annotated[
        str | None,
        option(
            "--to", _("REFERENCE"), _("Where the store's new key is: env:NAME, file:PATH or keyring:SERVICE/USERNAME.")
        ),
    ] = None,
) -> int:
    """Change a credential's secrets, or the key of the store."""
    import anyio  # noqa: PLC0415  --help does without

    from modelhub.cli.vault import opened  # noqa: PLC0415  likewise

    if key is (provider is not None):
        raise typer.BadParameter(_("name a provider, or give --key"), param_hint=_("PROVIDER"))
    vault: Vault = anyio.run(lambda: opened(command, make=True))
    if provider is None:
        anyio.run(lambda: _rotate_key(command, vault, to))
        return 0
    before = vault.kept_by(provider, name, model)
    vault.schema(provider)
    form = vault.form(provider, model)
    questions = _questions(command)
    if questions is None and not command.credentials:
        secrets = [field.variable for field in form if field.secret and field.variable in before.values]
        remedy = f"give it: --set {secrets[0] if secrets else 'KEY'}=-"
        raise ConfigurationError("nothing says what is to change, and there is no terminal to ask on", remedy=remedy)
    given = _filled(command, vault, before, questions, check=check)
    if given is None:
        return FAILED
    candidate = _with(before, _edited(before, given, form))
    return _keep(command, vault, candidate, questions, check=check)


def _edited(
    before: StoredCredential, given: Mapping[str, CredentialValue], form: Sequence[FormField]
) -> Mapping[str, CredentialValue]:
    """Return the values after an edit. What is kept of secrets does not follow an endpoint to another server.

    Raises:
        CredentialsInvalid: A secret would.
    """
    from modelhub.credentials import HIDDEN, edited  # noqa: PLC0415  --help does without

    secret = {field.variable for field in form if field.secret}
    new = {
        name: HIDDEN if name in secret and value is before.values.get(name) else value for name, value in given.items()
    }
    return cast("Mapping[str, CredentialValue]", edited(before.values, new, form))


async def _rotate_key(command: Command, vault: Vault, reference: str | None) -> None:
    from modelhub.credentials import RandomKey  # noqa: PLC0415  --help does without

    store = vault.store
    assert store is not None  # noqa: S101  it was opened to be written
    if reference is None and vault.settings.store.key is not None:
        remedy = "make one, put it where --to says, and then name that place in [store] key"
        raise ConfigurationError("the key of the store is kept by you", remedy=remedy)
    await store.rotate(None if reference is None else RandomKey(reference, folder=vault.folder))
    if command.terminal.json:
        command.terminal.document({"store": store.path, "rotated": True, "key": reference})
        return
    command.terminal.say(_("Everything in {path} is sealed with a new key.").format(path=store.path))
    if reference is not None:
        line = f'[store] key = "{reference}"'
        command.terminal.say(_("Now write into the settings: {line}").format(line=line))


def credentials_remove(
    command: Command,
    provider: Annotated[str, provider_argument()],
    *,
    name: Annotated[str | None, _name_option(_("Which one, where there are several."))] = None,
    model: Annotated[str | None, _model_option()] = None,
    yes: Annotated[bool, flag("--yes", _("Do not ask."))] = False,
) -> int:
    """Remove a credential from the store."""
    import anyio  # noqa: PLC0415  --help does without

    from modelhub.cli.vault import opened  # noqa: PLC0415  likewise
    from modelhub.credentials import StoredCredential  # noqa: PLC0415

    vault: Vault = anyio.run(lambda: opened(command, make=True, damaged=True))
    store, questions = vault.store, _questions(command)
    assert store is not None  # noqa: S101  it was opened to be written
    credential = StoredCredential(provider, name, model=model) if name else vault.kept_by(provider, name, model)
    asked = _("Remove the credential {name} of {provider}?").format(name=credential.name, provider=_owner(credential))
    if not yes and questions is None:
        raise typer.BadParameter(_("there is no terminal to ask on; --yes removes it"), param_hint="--yes")
    if not yes and questions is not None and not questions.yes(asked):
        command.terminal.note(_("nothing was removed"))
        return FAILED
    anyio.run(lambda: store.remove(provider, credential.name, credential.model))
    if command.terminal.json:
        facts = {"provider": provider, "name": credential.name, "model": credential.model}
        command.terminal.document({**facts, "removed": True})
    else:
        said = _("The credential {name} of {provider} is removed.")
        command.terminal.say(said.format(name=credential.name, provider=_owner(credential)))
    return 0
