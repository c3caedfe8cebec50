"""``models list`` and ``models show``: which models there are and what they take, without calling one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from modelhub.cli.command import Command
from modelhub.cli.model_texts import condition_text, ending_text, form_rows, property_text, rule_values
from modelhub.cli.options import flag, model_argument, provider_argument, type_option
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, label
from modelhub.errors import CredentialsInvalid, UnknownModel
from modelhub.rules.forms import model_form
from modelhub.rules.names import did_you_mean
from modelhub.rules.templates import meaning
from modelhub.types.forms import FormField
from modelhub.types.parameters import ParameterRule
from modelhub.types.pricing import Pricing
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["models_list", "models_show"]

_SUMMED_UP = 2
"""Prices that one line can say."""


async def models_list(
    command: Command,
    provider: Annotated[str, provider_argument()],
    *,
    type: Annotated[ModelType | None, type_option()] = None,
    refresh: Annotated[
        bool, flag("--refresh", _("Ask the vendor now, and fail where it does not answer; nothing remembered counts."))
    ] = False,
) -> None:
    """List the models of a provider."""
    try:
        async with command.hub() as hub:
            found = await hub.models(provider, type, credentials=command.credentials, refresh=refresh)
    except CredentialsInvalid:
        known = await _of_manifest(command, provider)
        if refresh or command.credentials or not known:
            raise
        found = [each for each in known if type in {None, each.model_type}]
        _tell_of_manifest(command.terminal, provider)
    if command.terminal.json:
        command.terminal.document({"provider": provider, "models": found})
        return
    titles = (_("Model"), _("Name"), _("Type"), _("Context"), _("Features"), _("Price"), _("Note"))
    command.terminal.table(titles, [_model_row(each, shown=command.terminal.answers_shown) for each in found])
    if not found:
        command.terminal.hint(_("it has none now"))


def _model_row(schema: ModelSchema, *, shown: bool) -> list[str]:
    """Return a model's cells; numbers as the user writes them only where the user is looking."""
    now = dt.datetime.now(dt.UTC)
    size = schema.context_size
    return [
        schema.model,
        label(schema.label),
        schema.model_type.value,
        "" if size is None else property_text(size) if shown else str(size),
        ", ".join(schema.features or ()),
        _price(schema.pricing, now),
        ending_text(schema, now.date()),
    ]


def _price(pricing: Pricing | None, now: dt.datetime) -> str:
    """Return the prices that hold now."""
    if pricing is None:
        return ""
    from modelhub.cli.money import price_text  # noqa: PLC0415  languages' ways of writing money, wanted only here

    return price_text(pricing, now)


async def models_show(
    command: Command,
    model: Annotated[str, model_argument()],
    *,
    type: Annotated[ModelType | None, type_option()] = None,
) -> None:
    """Show what a model is and takes."""
    provider, slash, name = model.partition("/")
    config = {"provider": provider, "model": name if slash else "", "credentials": command.credentials}
    async with command.hub() as hub:
        of_provider = next((each.schema for each in await hub.providers() if each.id == provider), None)
        try:
            schema = await hub.bind(config).info(type)
        except CredentialsInvalid:
            known = await _of_manifest(command, provider)
            if command.credentials or not known:
                raise
            schema = _named(known, name or (of_provider.default_model if of_provider else None) or "", type)
            _tell_of_manifest(command.terminal, provider)
    form = _form(of_provider, schema)
    terminal = command.terminal
    if terminal.json:
        terminal.document({"provider": provider, "model": schema, "credentials": form})
        return
    _show_facts(terminal, provider, schema)
    _show_prices(terminal, schema.pricing)
    if schema.parameter_rules:
        terminal.say()
        titles = (_("Parameter"), _("Type"), _("Values"), _("Default"), _("Meaning"))
        terminal.table(titles, [_rule_row(rule) for rule in schema.parameter_rules])
    if form:
        terminal.say()
        terminal.table((_("Credential"), _("Type"), _("Wanted"), _("Meaning")), form_rows(form))


async def _of_manifest(command: Command, provider: str) -> Sequence[ModelSchema]:
    """Return the models of a provider's manifest, which nobody needs a key for."""
    from modelhub.configuration.settings import read_settings  # noqa: PLC0415  --help does without
    from modelhub.provider.threads import run_in_thread  # noqa: PLC0415
    from modelhub.rules.rule_set import with_whole_rules  # noqa: PLC0415
    from modelhub.runtime.plugins import PluginRegistry  # noqa: PLC0415

    settings = await run_in_thread(partial(read_settings, command.config), name="settings")
    registry = PluginRegistry(settings.plugins)
    return [with_whole_rules(each) for each in (await registry.models(await registry.find(provider))).values()]


def _named(known: Sequence[ModelSchema], name: str, kind: ModelType | None) -> ModelSchema:
    """Return a model of a manifest by its name.

    Raises:
        UnknownModel: It has none of that name.
    """
    found = next((each for each in known if each.model == name and kind in {None, each.model_type}), None)
    if found is None:
        remedy = did_you_mean(name, [each.model for each in known], what="models")
        raise UnknownModel(f"the manifest has no model {name!r}", remedy=remedy)
    return found


def _tell_of_manifest(terminal: Terminal, provider: str) -> None:
    text = _("{provider} has no credentials that can be used: these are the models of its manifest")
    terminal.note(_("note: {notice}").format(notice=text.format(provider=provider)), dim=True)


def _form(provider: ProviderSchema | None, model: ModelSchema) -> Sequence[FormField]:
    """Return the fields that must be filled in before the model can be called."""
    if provider is None:
        return ()
    own = model.fetch_from == "customizable-model" and provider.model_credential_schema is not None
    return model_form(provider) if own else provider.form


def _show_facts(terminal: Terminal, provider: str, schema: ModelSchema) -> None:
    now = dt.datetime.now(dt.UTC)
    size = schema.context_size
    facts = [
        (_("Model"), f"{provider}/{schema.model}"),
        (_("Name"), label(schema.label)),
        (_("Type"), schema.model_type.value),
        (_("Context"), "" if size is None else property_text(size)),
        (_("Features"), ", ".join(schema.features or ())),
        (_("Price"), _price(schema.pricing, now)),
        (_("Note"), ending_text(schema, now.date())),
    ]
    facts += [(name, property_text(value)) for name, value in schema.model_properties.items() if name != "context_size"]
    width = max(len(title) for title, value in facts if value)
    for title, value in facts:
        if value:
            terminal.say(f"{title:<{width}}  {value}")


def _show_prices(terminal: Terminal, pricing: Pricing | None) -> None:
    """Show every price, where there are more than those of the prompt and the answer."""
    if pricing is None:
        return
    from modelhub.cli.money import price_rows  # noqa: PLC0415  likewise

    rows = price_rows(pricing, dt.datetime.now(dt.UTC))
    if len(rows) > _SUMMED_UP:
        terminal.say()
        terminal.table((_("Paid for"), _("Price"), _("When")), rows)
    if rows:
        terminal.hint(_("prices by: {source}").format(source=pricing.source))


def _rule_row(rule: ParameterRule) -> tuple[str, ...]:
    meant = meaning(rule)
    name = meant if meant == rule.name else f"{meant} ({rule.name})"
    default = "" if rule.default is None else property_text(rule.default)
    text = (label(rule.help) or label(rule.label)).strip()
    only = _("only if {condition}").format(condition=condition_text(rule.show_on)) if rule.show_on else ""
    required = _("required") if rule.required else ""
    said = "; ".join(each for each in (required, text.removesuffix(".") if only else text, only) if each)
    return name, rule.type or "", rule_values(rule), default, said
