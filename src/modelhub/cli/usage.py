"""What an answer used and how long it took, in one line; and what else its reader should know."""

from __future__ import annotations

from collections.abc import Sequence

from modelhub.cli.failures import failed_attempts
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import N_, _, n_
from modelhub.types.cost import Cost, Costs
from modelhub.types.events import FinishReason
from modelhub.types.results import ChatResult, Result
from modelhub.types.usage import Timing, Usage

__all__ = ["show_remarks", "spent", "tokens_per_second", "usage_line"]

_MEASURABLE = 0.01
"""Seconds. What comes within less came all at once, and its pace says nothing of the model."""

_ENDINGS = {
    FinishReason.LENGTH: N_("the answer was cut off: the limit of tokens was reached (--max-tokens)"),
    FinishReason.CONTENT_FILTER: N_("the answer was cut off by the provider's content filter"),
    FinishReason.ERROR: N_("the answer was cut off: the provider reported a failure"),
}


def usage_line(result: Result) -> str:
    """Return what was used, what it cost and how fast it came; what is unknown is left out."""
    parts = [result.model, *_tokens(result.usage)]
    if result.cost is not None:
        from modelhub.cli.money import cost_text  # noqa: PLC0415  languages' ways of writing money, wanted only here

        parts.append(cost_text(result.cost))
    if result.timing is not None:
        parts += _times(result.timing, result.usage)
    return " · ".join(part for part in parts if part)


def spent(costs: Sequence[Cost | None]) -> str:
    """Return what several answers cost together, each currency for itself; empty where nothing of it is known."""
    sums = Costs.of(costs)
    if not sums.by_currency:
        return ""
    from modelhub.cli.money import cost_text  # noqa: PLC0415  likewise

    amounts = " + ".join(cost_text(cost) for cost in sums.by_currency.values())
    line = _("{amounts} for {number} answers").format(amounts=amounts, number=len(costs))
    if not sums.unpriced:
        return line
    return f"{line} · " + _("the cost of {number} of them is not known").format(number=sums.unpriced)


def _tokens(usage: Usage | None) -> list[str]:
    if usage is None:
        return []
    parts = []
    if usage.input_tokens is not None:
        parts.append(
            n_("{number} token in", "{number} tokens in", usage.input_tokens).format(number=usage.input_tokens)
        )
    if usage.cached_tokens:
        parts.append(_("{number} of them cached").format(number=usage.cached_tokens))
    if usage.output_tokens is not None:
        count = usage.output_tokens
        parts.append(n_("{number} token out", "{number} tokens out", count).format(number=count))
    if usage.reasoning_tokens:
        parts.append(_("{number} of them reasoning").format(number=usage.reasoning_tokens))
    if parts and usage.estimated:
        parts.append(_("estimated"))
    return parts


def _times(timing: Timing, usage: Usage | None) -> list[str]:
    parts = []
    if timing.first_content is not None:
        parts.append(_("first token after {seconds:.2f} s").format(seconds=timing.first_content))
    speed = tokens_per_second(timing, usage)
    if speed is not None:
        parts.append(_("{speed:.1f} tokens/s").format(speed=speed))
    if timing.total is not None:
        parts.append(_("{seconds:.2f} s in all").format(seconds=timing.total))
    return parts


def tokens_per_second(timing: Timing, usage: Usage | None) -> float | None:
    """Return how fast tokens were generated: by the server's own clock, else from the first one on as it came here."""
    if usage is None or not usage.output_tokens:
        return None
    if timing.output:
        return usage.output_tokens / timing.output
    if timing.first_content is None or timing.total is None or usage.output_tokens < 2:  # noqa: PLR2004  a pace needs two
        return None
    seconds = timing.total - timing.first_content
    return (usage.output_tokens - 1) / seconds if seconds >= _MEASURABLE else None


def show_remarks(terminal: Terminal, result: Result) -> None:
    """Tell on stderr what the reader of an answer should know: warnings, who answered instead, a cut-off end."""
    for warning in result.warnings:
        terminal.note(_("note: {notice}").format(notice=warning.message), dim=True)
    if isinstance(result, ChatResult) and result.finish_reason in _ENDINGS:
        terminal.note(_("note: {notice}").format(notice=_(_ENDINGS[result.finish_reason])), dim=True)
    failed = failed_attempts(result.attempts)
    if failed:
        message = _("{model} answered; before it failed: {failed}")
        notice = message.format(model=result.model, failed=", ".join(failed))
        terminal.note(_("note: {notice}").format(notice=notice), dim=True)
