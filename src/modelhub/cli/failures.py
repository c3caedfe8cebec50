"""How failures are told: one clear line and what can be done about it, or a JSON document; never a traceback.

With ``--json`` a failure is a document ``{"error": {…}}`` on stdout, like every other answer: whoever reads the
output finds it there, and the exit code says which it is.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict

from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import N_, _, language
from modelhub.configuration.problems import SettingsInvalid
from modelhub.errors import ModelHubError
from modelhub.types.json import JSON
from modelhub.types.records import Attempt

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "KINDS",
    "USAGE",
    "error_document",
    "failed_attempts",
    "kind_of",
    "one_line",
    "show_bug",
    "show_failure",
    "show_usage_failure",
    "told",
    "unread",
]

FAILED = 1
USAGE = 2
INTERRUPTED = 130
_BROKEN_PIPE = 141

KINDS = {
    "ModelHubError": N_("failure"),
    "ConfigurationError": N_("the settings or arguments cannot be used"),
    "UnknownProvider": N_("unknown provider"),
    "UnknownModel": N_("unknown model"),
    "EgressRefused": N_("no connection may be made there"),
    "PluginError": N_("a plugin failed"),
    "CredentialsInvalid": N_("the credentials cannot be used"),
    "StreamNotFinished": N_("the answer was not read to its end"),
    "BadRequest": N_("the request cannot be served as it is"),
    "ContextLengthExceeded": N_("the conversation is too long for the model"),
    "RequestTooLarge": N_("the request is too large"),
    "ContentFiltered": N_("the provider refused the content"),
    "UnsupportedFeature": N_("not supported"),
    "AuthenticationFailed": N_("the key is wrong or missing"),
    "PermissionDenied": N_("the key may not do this"),
    "RegionBlocked": N_("not from this country"),
    "QuotaExhausted": N_("the paid quota is used up"),
    "RateLimited": N_("too many requests; wait a little"),
    "ModelNotFound": N_("the server does not have this model"),
    "ModelRetired": N_("the model was withdrawn"),
    "Overloaded": N_("the server has no capacity now"),
    "ServerError": N_("the server failed"),
    "ConnectFailed": N_("the server cannot be reached"),
    "ConnectionLost": N_("the connection broke"),
    "Timeout": N_("a time limit was reached"),
    "MalformedResponse": N_("the server's answer cannot be read"),
    "OutputInvalid": N_("the answer does not have the shape asked for"),
    "StreamInterrupted": N_("the answer broke off"),
    "NoDeploymentAvailable": N_("nothing is left to try"),
    "LocalRateLimited": N_("your own limit of requests is reached; wait a little"),
    "QueueFull": N_("too many calls are waiting"),
    "CircuitOpen": N_("every server failed too often; wait a little"),
    "DeadlineExceeded": N_("there was not enough time left to ask"),
    "BudgetExceeded": N_("your own budget is used up"),
    "UnclassifiedError": N_("an unknown failure"),
}
"""What kind of failure each class is, for those who cannot read the core's message, which is English."""

_FACTS = (
    "message",
    "remedy",
    "provider",
    "model",
    "deployment",
    "status",
    "code",
    "request_id",
    "retry_after",
    "sent",
    "fields",
    "parameter",
)


def show_failure(terminal: Terminal, error: ModelHubError, *, debug: bool = False, secrets: Sequence[str] = ()) -> int:
    """Tell what went wrong and return the exit code.

    Args:
        terminal: Where to.
        error: What went wrong.
        debug: Whether to show the traceback too, for plugin authors.
        secrets: What the traceback must not show.
    """
    if terminal.json:
        terminal.line({"error": error_document(error)})
        return FAILED
    if debug:
        terminal.note(_traceback(error, secrets), dim=True)
    message, below = told(error)
    _headline(terminal, one_line(_where(error), kind_of(error), message))
    failed = failed_attempts(error.attempts)
    if len(failed) > 1:
        terminal.note("  " + _("tried: {deployments}").format(deployments=", ".join(failed)))
    for line in below:
        terminal.note(f"  {line}")
    return FAILED


def told(error: ModelHubError) -> tuple[str, list[str]]:
    """Return what an error says, in one line, and what stands below it: the remedy, or the problems of settings."""
    if not isinstance(error, SettingsInvalid) or len(error.problems) == 1:
        return one_line(error.message), _remedy(error.remedy)
    below: list[str] = []
    for problem in error.problems:
        below += [one_line(str(problem)), *(f"  {line}" for line in _remedy(problem.remedy))]
    return one_line(error.message.partition("\n")[0]), below


def _remedy(remedy: str | None) -> list[str]:
    return [_("remedy: {remedy}").format(remedy=one_line(remedy))] if remedy else []


def show_usage_failure(terminal: Terminal, message: str, *, usage: str = "", help_command: str = "") -> int:
    """Tell what is wrong with the arguments and return the exit code."""
    if terminal.json:
        terminal.line({"error": {"type": "UsageError", "message": message}})
        return USAGE
    if usage:
        terminal.note(usage)
    _headline(terminal, message)
    if help_command:
        terminal.note("  " + _("help: {command}").format(command=help_command))
    return USAGE


def show_bug(terminal: Terminal, error: Exception, *, debug: bool = False, secrets: Sequence[str] = ()) -> int:
    """Tell of an exception that should not have come this far, and return the exit code.

    Args:
        terminal: Where to.
        error: What came.
        debug: Whether to show its traceback.
        secrets: What must not be shown: nobody has looked through its message.
    """
    if terminal.json:
        document = error_document(error)
        terminal.line({"error": {**document, "message": _masked(str(document["message"]), secrets)}})
        return FAILED
    if debug:
        terminal.note(_traceback(error, secrets), dim=True)
    message = _masked(one_line(type(error).__name__, str(error)), secrets)
    _headline(terminal, _("this should not have happened: {what}").format(what=message))
    if not debug:
        terminal.note("  " + _("remedy: {remedy}").format(remedy=_("report it with the output of --debug")))
    return FAILED


def unread() -> int:
    """Return the exit code of a run whose output nobody reads any more.

    The interpreter flushes stdout once more at its end: what is left goes nowhere, so that this does not fail.
    """
    with suppress(OSError, ValueError):  # there is no file behind it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return _BROKEN_PIPE


def error_document(error: Exception) -> dict[str, JSON]:
    """Return an error's facts, without those that are unknown."""
    if not isinstance(error, ModelHubError):
        return {"type": type(error).__name__, "message": str(error)}
    document: dict[str, JSON] = {"type": type(error).__name__, "scope": error.scope.value, "retry": error.retry.value}
    for name in _FACTS:
        value = getattr(error, name, None)
        if value is not None:
            document[name] = value
    if isinstance(error, SettingsInvalid):
        document["problems"] = [asdict(problem) for problem in error.problems]
    document["attempts"] = [
        {"deployment": attempt.deployment, "error": attempt.error, "seconds": attempt.seconds}
        for attempt in error.attempts
    ]
    return document


def _headline(terminal: Terminal, message: str) -> None:
    terminal.note(_("error: {message}").format(message=message), fg="red")


def _where(error: ModelHubError) -> str:
    """What was called, with the name of the credential where there are several to look for."""
    where = "/".join(word for word in (error.provider, error.model) if word)
    deployment = error.deployment or ""
    return deployment if deployment.startswith(f"{where}#") else where


def kind_of(error: ModelHubError) -> str:
    """Return the kind of failure in the user's language; in English the message says it better."""
    names: Iterable[str] = (cls.__name__ for cls in type(error).__mro__)
    return "" if language() == "en" else _(next(KINDS[name] for name in names if name in KINDS))


def failed_attempts(attempts: Iterable[Attempt]) -> list[str]:
    """Return what failed, each once with the kind of its failure; a class that only a plugin has goes by its name."""
    kinds = dict.fromkeys((attempt.deployment, attempt.error) for attempt in attempts if attempt.error is not None)
    return [f"{deployment} ({_(KINDS[name]) if name in KINDS else name})" for deployment, name in kinds]


def one_line(*words: str) -> str:
    """Join words with colons between them, on one line."""
    return ": ".join(" ".join(word.split()) for word in words if word)


def _traceback(error: BaseException, secrets: Sequence[str]) -> str:
    return _masked("".join(traceback.format_exception(error)).rstrip(), secrets)


def _masked(text: str, secrets: Sequence[str]) -> str:
    from modelhub.rules.redaction import Redactor  # noqa: PLC0415  wanted where something is shown as it was raised

    return Redactor(secrets).text(text)
