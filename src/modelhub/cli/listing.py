"""``providers``, ``models`` and ``info``: what there is, without calling a model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from modelhub.cli.command import Command
from modelhub.cli.options import model_argument, provider_argument, type_option
from modelhub.cli.states import provider_document, shown_state
from modelhub.cli.texts import _, label
from modelhub.rules.templates import meaning
from modelhub.types.parameters import ParameterRule
from modelhub.types.plugins import ProviderInfo
from modelhub.types.pricing import Pricing
from modelhub.types.schema import ModelSchema, ModelType

__all__ = ["info", "models", "providers"]

_SUMMED_UP = 2
"""Prices that one line can say."""


async def providers(
    command: Command,
    *,
    load: Annotated[
        bool, typer.Option("--load", help=_("Import their code too, which tells which of them work."))
    ] = False,
) -> None:
    """List the installed providers."""
    async with command.hub() as hub:
        infos: Sequence[ProviderInfo] = await hub.providers()
    if load:
        from modelhub.cli.probe import probed  # noqa: PLC0415  the runtime, which --help does without
        from modelhub.configuration.settings import read_settings  # noqa: PLC0415
        from modelhub.provider.threads import run_in_thread  # noqa: PLC0415

        settings = await run_in_thread(partial(read_settings, command.config), name="settings")
        infos = await probed(infos, config=command.config, settings=settings)
    if command.terminal.json:
        command.terminal.document({"providers": [provider_document(each) for each in infos]})
        return
    titles = (_("Provider"), _("Name"), _("Model types"), _("State"), _("Distribution"))
    rows = [
        (
            each.id,
            label(each.schema.label) if each.schema else "",
            ", ".join(each.schema.supported_model_types) if each.schema else "",
            shown_state(each.state),
            " ".join(word for word in (each.distribution, each.version) if word),
        )
        for each in infos
    ]
    command.terminal.table(titles, rows)
    broken = [each.id for each in infos if each.reason]
    if broken:
        command.terminal.hint(_("`modelhub doctor` tells what is wrong with: {ids}").format(ids=", ".join(broken)))
    elif not infos:
        command.terminal.hint(_("none is installed; for one: pip install modelhub-ollama-local"))


async def models(
    command: Command,
    provider: Annotated[str, provider_argument()],
    *,
    type: Annotated[ModelType | None, type_option()] = None,
) -> None:
    """List the models of a provider."""
    async with command.hub() as hub:
        found = await hub.models(provider, type, credentials=command.credentials)
    if command.terminal.json:
        command.terminal.document({"provider": provider, "models": found})
        return
    titles = (_("Model"), _("Name"), _("Type"), _("Context"), _("Features"), _("Price"))
    command.terminal.table(titles, [_model_row(each) for each in found])
    if not found:
        command.terminal.hint(_("it has none now"))


def _model_row(schema: ModelSchema) -> tuple[str, ...]:
    return (
        schema.model,
        label(schema.label),
        schema.model_type.value,
        str(schema.context_size or ""),
        ", ".join(schema.features or ()),
        _price(schema.pricing),
    )


def _price(pricing: Pricing | None) -> str:
    """Return the prices that hold now."""
    from modelhub.cli.money import price_text  # noqa: PLC0415  languages' ways of writing money, wanted only here

    return price_text(pricing, dt.datetime.now(dt.UTC))


async def info(
    command: Command,
    model: Annotated[str, model_argument()],
    *,
    type: Annotated[ModelType | None, type_option()] = None,
) -> None:
    """Show what a model is and takes."""
    provider, slash, name = model.partition("/")
    config = {"provider": provider, "model": name if slash else "", "credentials": command.credentials}
    async with command.hub() as hub:
        schema = await hub.bind(config).info(type)
    if command.terminal.json:
        command.terminal.document({"provider": provider, "model": schema})
        return
    facts = (
        (_("Model"), f"{provider}/{schema.model}"),
        (_("Name"), label(schema.label)),
        (_("Type"), schema.model_type.value),
        (_("Context"), str(schema.context_size or "")),
        (_("Features"), ", ".join(schema.features or ())),
        (_("Price"), _price(schema.pricing)),
    )
    width = max(len(title) for title, _value in facts)
    for title, value in facts:
        if value:
            command.terminal.say(f"{title:<{width}}  {value}")
    _show_prices(command, schema.pricing)
    if schema.parameter_rules:
        command.terminal.say()
        titles = (_("Parameter"), _("Type"), _("Values"), _("Default"), _("Meaning"))
        command.terminal.table(titles, [_rule_row(rule) for rule in schema.parameter_rules])


def _show_prices(command: Command, pricing: Pricing | None) -> None:
    """Show every price, where there are more than those of the prompt and the answer."""
    if pricing is None:
        return
    from modelhub.cli.money import price_rows  # noqa: PLC0415  likewise

    rows = price_rows(pricing, dt.datetime.now(dt.UTC))
    if len(rows) > _SUMMED_UP:
        command.terminal.say()
        command.terminal.table((_("Paid for"), _("Price"), _("When")), rows)
        command.terminal.hint(_("prices by: {source}").format(source=pricing.source))


def _rule_row(rule: ParameterRule) -> tuple[str, ...]:
    meant = meaning(rule)
    name = meant if meant == rule.name else f"{meant} ({rule.name})"
    default = "" if rule.default is None else str(rule.default)
    return name, rule.type or "", _values(rule), default, label(rule.help) or label(rule.label)


def _values(rule: ParameterRule) -> str:
    if rule.options:
        return ", ".join(rule.options)
    if rule.min is None and rule.max is None:
        return ""
    return f"{_number(rule.min)} … {_number(rule.max)}".strip()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else str(value)
