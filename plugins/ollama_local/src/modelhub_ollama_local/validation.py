"""Whether a server can be used as a form says, found out in stages, each with a hint that fits it.

Owns the order of the stages and the hints. No stage loads a model or costs anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectFailed,
    CredentialsInvalid,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    PermissionDenied,
    Timeout,
)
from modelhub.provider import HttpCall, ProviderContext
from modelhub.types.records import Progress
from modelhub.types.schema import ModelType
from modelhub_ollama_local.catalogue import installed, type_of, wrong_type
from modelhub_ollama_local.faults import is_no_route
from modelhub_ollama_local.names import find, nearest

__all__ = ["validate_model", "validate_server"]

_GREETING = "Ollama is running"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_TELLS_CAPABILITIES = (0, 6, 4)
_PATIENCE = 15.0  # seconds for all stages together: none of them waits for a model
_NOTHING_LISTENS = (
    "nothing answers there. Is `ollama serve` running? It listens on 127.0.0.1:11434 alone unless OLLAMA_HOST says "
    "otherwise, so another machine or a container cannot reach it"
)
_SILENT = "something accepts connections there and does not answer: check the port, and whether the server is stuck"
_NOT_OLLAMA = "another program answers there, not Ollama: check the host and the port (Ollama's is 11434)"
_WEB_PAGE = "that is a web page, not Ollama's API: check the host, the port and the path"
_KEY_REFUSED = "the server refuses this key"
_KEY_WANTED = "the server wants a key"
_HOST_REFUSED = "Ollama refuses calls by this host name: use localhost or an address, or set OLLAMA_HOST there"


async def validate_server(context: ProviderContext) -> None:
    """Check a credential: reachable, Ollama, its version, its models, and whether it answers to this key.

    Raises:
        CredentialsInvalid: ``fields`` says which field is wrong and what to do.
        ModelHubError: Something else went wrong on the way.
    """
    limits = context.http.limits
    limits.first_token = min(limits.first_token, _PATIENCE)
    with _blamed(context):
        version = await _version(context)
        _passed(context, "version", f"Ollama {version}" if version else "Ollama's API", version=version)
        names = await installed(context)
        _passed(context, "models", _counted(names), models=len(names))
        await _answers_to_key(context)
        _passed(context, "authenticated", "authenticated")


def _counted(names: Sequence[str]) -> str:
    match len(names):
        case 0:
            return "no models yet: pull one"
        case 1:
            return "1 model"
        case number:
            return f"{number} models"


async def validate_model(model: str, model_type: ModelType, context: ProviderContext) -> None:
    """Check that a server has a model, and that it is of the type wanted.

    Raises:
        ModelNotFound: It has no such model; the remedy names the nearest ones.
        UnsupportedFeature: The model is of another type.
    """
    with _blamed(context):
        names = await installed(context)
    found = find(model, names)
    if found is None:
        near = nearest(model, names)
        error = ModelNotFound(f"the server has no model {model!r}", sent=True)
        meant = f"did you mean {' or '.join(near)}? Else " if near else ""
        error.remedy = f"{meant}run `ollama pull {model}` there, or operate('ollama_local', 'pull', model={model!r})"
        raise error
    _passed(context, "model", f"{found} is installed", model=found)
    actual = await type_of(found, context)
    if actual not in (model_type, None):
        raise wrong_type(found, actual)


def _passed(context: ProviderContext, stage: str, message: str, **facts: Any) -> None:
    context.progress(Progress(message, data={"stage": stage, **facts}))


@contextmanager
def _blamed(context: ProviderContext) -> Iterator[None]:
    """Turn what the requests end with into a complaint about the form field that is wrong."""
    try:
        yield
    except (ConnectFailed, Timeout) as error:
        silent = isinstance(error, Timeout) and error.phase != "connect"
        raise _complaint("base_url", _SILENT if silent else _NOTHING_LISTENS, error) from error
    except AuthenticationFailed as error:
        why = _KEY_REFUSED if context.credential.get("api_key") else _KEY_WANTED
        raise _complaint("api_key", why, error) from error
    except PermissionDenied as error:
        raise _complaint("base_url", _HOST_REFUSED, error) from error
    except MalformedResponse as error:
        why = _WEB_PAGE if "web page" in error.message else f"{_NOT_OLLAMA} ({error.message})"
        raise _complaint("base_url", why, error) from error


def _complaint(field: str, why: str, error: ModelHubError) -> CredentialsInvalid:
    return CredentialsInvalid(f"{field}: {why}", fields={field: why}, status=error.status)


async def _version(context: ProviderContext) -> str | None:
    """Return the server's version; ``None`` where it is a proxy that serves the API and does not say."""
    try:
        document = await context.http.json(HttpCall("/api/version", method="GET"))
    except ModelHubError as error:
        if not is_no_route(error):
            raise
        _passed(context, "reachable", "reachable")
        greeting = await context.http.request(HttpCall("/", method="GET"))
        if _GREETING.encode() in greeting.body:
            return None
        await installed(context)  # the list is Ollama's own as well: without it, this is another server
        return None
    _passed(context, "reachable", "reachable")
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, str) or not version:
        raise MalformedResponse("it answers /api/version without a version", status=200, sent=True)
    numbers = _VERSION.match(version)
    if numbers and tuple(map(int, numbers.groups())) < _TELLS_CAPABILITIES:
        context.log.warning("Ollama %s does not say what its models can do: 0.6.4 and later do", version)
    return version


async def _answers_to_key(context: ProviderContext) -> None:
    """Ask what only a caller with the right key may ask, in a way that no server answers with work.

    A list may be public where questions are not. A question without a model is refused, by whom it tells.
    """
    with suppress(BadRequest, ModelNotFound):
        await context.http.request(HttpCall("/api/chat", {}))
