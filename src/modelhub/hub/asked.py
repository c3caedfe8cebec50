"""From the verbs' arguments to a request and what is wanted around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from modelhub.configuration.settings import credential_sources
from modelhub.errors import BadRequest, ConfigurationError
from modelhub.provider.threads import run_in_thread
from modelhub.rules.messages import messages_from
from modelhub.rules.names import did_you_mean
from modelhub.rules.parameters import check_text
from modelhub.rules.requests import checked_choice, checked_interrupt, checked_request, checked_timeout
from modelhub.runtime.credentials import GivenCredentials
from modelhub.runtime.output import format_of
from modelhub.types.parameters import ChatParameters, Vendor
from modelhub.types.requests import ChatRequest, Request
from modelhub.types.results import ChatResult, Result
from modelhub.types.tools import Tool, ToolFunction

if TYPE_CHECKING:
    from modelhub.types.messages import Messages

__all__ = ["Asked", "Binding", "audio_of", "binding_of", "chat_asked", "other_asked", "request_asked"]

R = TypeVar("R", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)

_AROUND = ("timeout", "credentials", "vendor", "progress", "session")
_BYTES = (bytes, bytearray, memoryview)
_BINDING_KEYS = ("provider", "model", "credentials", "parameters", "vendor", "timeout", "tenant")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a bound model brings to every call.

    Attributes:
        targets: The models, in order.
        credentials: Its own, or ``None`` for those configured.
        parameters: Neutral parameters that a call may override.
        vendor: Provider-specific parameters that a call may override.
        timeout: Seconds for a whole call, where a call does not say.
    """

    targets: tuple[str, ...]
    credentials: GivenCredentials | None = None
    parameters: ChatParameters = field(default_factory=ChatParameters)
    vendor: Vendor = field(default_factory=dict)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Asked(Generic[R_co]):
    """A request, and whose credentials serve it."""

    request: Request[R_co]
    credentials: GivenCredentials | None = None
    progress: Any = None


def binding_of(config: object) -> Binding:
    """Read what an application binds: ``"provider/model"``, several of them, or a dict.

    Raises:
        ConfigurationError: It is none of these, or has a key without meaning.
    """
    if isinstance(config, str):
        return Binding((config,))
    if isinstance(config, Mapping):
        return _bound_config(config)
    if isinstance(config, Sequence) and config and all(isinstance(each, str) for each in config):
        return Binding(tuple(config))
    raise ConfigurationError(
        f"a {type(config).__name__} names no model", remedy='give "provider/model", a list of them, or a dict'
    )


def _bound_config(config: Mapping[str, Any]) -> Binding:
    unknown = [key for key in config if key not in _BINDING_KEYS]
    if unknown:
        message = f"the bound model's configuration has an unknown key {unknown[0]!r}"
        raise ConfigurationError(message, remedy=did_you_mean(unknown[0], _BINDING_KEYS, what="keys"))
    provider, model = config.get("provider"), config.get("model") or ""
    if not isinstance(provider, str) or not isinstance(model, str):
        raise ConfigurationError("the bound model's configuration needs provider and model, both texts")
    given, tenant = config.get("credentials"), config.get("tenant", False)
    if not isinstance(tenant, bool):
        message = f"the bound model's configuration has a {type(tenant).__name__} as tenant"
        raise ConfigurationError(message, remedy="True where users of the application typed the credentials")
    sources = credential_sources(given, provider) if given is not None else None
    try:
        return Binding(
            (f"{provider}/{model}" if model else provider,),
            GivenCredentials(provider, sources, lasting=True, tenant=tenant) if sources is not None else None,
            cast("ChatParameters", _table(config.get("parameters"), "parameters")),
            _vendor(config.get("vendor")),
            checked_timeout(config.get("timeout")),
        )
    except BadRequest as error:
        raise ConfigurationError(f"the bound model's configuration cannot be used: {error.message}") from error


def _table(given: object, name: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise BadRequest(f"{name} is a {type(given).__name__}: it must be a dict", parameter=name)
    return dict(given)


def _vendor(given: object) -> Vendor:
    return {provider: _table(options, f"vendor.{provider}") for provider, options in _table(given, "vendor").items()}


def _around(binding: Binding, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every request has of the binding and the keywords around it."""
    timeout = checked_timeout(options.get("timeout", binding.timeout))
    vendor = binding.vendor
    if options.get("vendor") is not None:
        given = _vendor(options["vendor"])
        vendor = {**vendor, **{provider: {**vendor.get(provider, {}), **given[provider]} for provider in given}}
    session = check_text(options.get("session", ""), "session")
    return {"model": binding.targets, "vendor": vendor, "timeout": timeout, "session": session}


def _asked(binding: Binding, request: Request[R], options: Mapping[str, Any]) -> Asked[R]:
    return Asked(request, _credentials(binding, options.get("credentials")), options.get("progress"))


def _credentials(binding: Binding, given: object) -> GivenCredentials | None:
    """Return what a call's credentials are: the bound model's with those given over them, of the first provider."""
    if given is None:
        return binding.credentials
    provider = binding.targets[0].partition("/")[0]
    bound = binding.credentials
    below = bound.sources[0].values if bound is not None else {}
    if bound is not None and bound.sources[0].function is not None:
        message = "the call gives credentials, and those of the bound model come from a function"
        raise ConfigurationError(message, remedy="bind the model to the credentials that the call gives")
    sources = [replace(source, below=below) for source in credential_sources(given, provider)]
    return GivenCredentials(provider, sources, tenant_below=bound is not None and bound.tenant)


def other_asked(binding: Binding, request: Request[R], options: Mapping[str, Any]) -> Asked[R]:
    """Build what is asked of a model that is no chat model.

    Raises:
        BadRequest: Something in it cannot be sent, or a keyword has no meaning here.
    """
    for name in options:
        if name not in _AROUND:
            remedy = did_you_mean(name, _AROUND, what="keywords")
            raise BadRequest(f"there is no parameter {name!r} here", parameter=name, remedy=remedy)
    return _asked(binding, checked_request(replace(request, **_around(binding, options))), options)


def request_asked(request: Request[R]) -> Asked[R]:
    """Build what is asked by a request that names its own models.

    Raises:
        BadRequest: Something in it cannot be sent.
    """
    return Asked(replace(checked_request(request), vendor=_vendor(request.vendor)))


async def chat_asked(
    binding: Binding,
    messages: Messages,
    response_format: object,
    options: Mapping[str, Any],
    *,
    on_interrupt: object = "raise",
) -> Asked[ChatResult[Any]]:
    """Build what is asked of a chat model.

    Raises:
        BadRequest: Something in the conversation or the keywords cannot be sent.
        ConfigurationError: ``response_format`` cannot be described.
    """
    parameters = {
        key: value for key, value in options.items() if key not in (*_AROUND, "system", "tools", "tool_choice")
    }
    shape = None
    if response_format is not None:
        shape = await run_in_thread(lambda: format_of(response_format), name="response format")
    tools = _tools(options.get("tools"))
    request: ChatRequest[Any] = ChatRequest(
        messages=messages_from(messages, system=options.get("system")),
        tools=tools,
        tool_choice=checked_choice(options.get("tool_choice"), tools),
        response_format=shape,
        parameters=cast("ChatParameters", {**binding.parameters, **parameters}),
        on_interrupt=checked_interrupt(on_interrupt),
        **_around(binding, options),
    )
    return _asked(binding, request, options)


def _tools(given: object) -> tuple[Tool, ...]:
    if given is None:
        return ()
    if not isinstance(given, Iterable) or isinstance(given, Mapping | str):
        raise BadRequest(f"tools is a {type(given).__name__}: it must be a list of tools", parameter="tools")
    return tuple(_tool(each) for each in given)


def _tool(given: object) -> Tool:
    if isinstance(given, ToolFunction):
        return given.tool
    if isinstance(given, Tool):
        return given
    if isinstance(given, Mapping):
        function = given.get("function", given)
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            return Tool(
                function["name"],
                function.get("description") or "",
                function.get("parameters") or {"type": "object"},
            )
    raise BadRequest(
        f"a tool is a {type(given).__name__}: give a Tool, a function decorated with @tool, or a dict",
        parameter="tools",
    )


async def audio_of(audio: object) -> tuple[Any, str]:
    """Return a recording's bytes, or whatever stands in their place, and a file name; a path is read in a thread.

    Raises:
        BadRequest: The file cannot be read.
    """
    if not isinstance(audio, str | Path):
        return audio, _sound_name(bytes(audio[:16])) if isinstance(audio, _BYTES) else ""
    path = Path(audio)
    try:
        return await run_in_thread(path.read_bytes, name="audio file"), path.name
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadRequest(f"{str(path)!r} cannot be read: {reason}", parameter="audio") from error


def _sound_name(data: bytes) -> str:
    signatures = {
        b"RIFF": "audio.wav",
        b"fLaC": "audio.flac",
        b"OggS": "audio.ogg",
        b"ID3": "audio.mp3",
        b"\x1aE\xdf\xa3": "audio.webm",
    }
    for signature, name in signatures.items():
        if data.startswith(signature):
            return name
    return "audio.m4a" if data[4:8] == b"ftyp" else "audio.mp3"
