"""From a plugin object to callables: signatures checked beyond what pluggy checks, then bound for the hot path.

pluggy accepts a misspelt hook, an argument of the wrong kind, a coroutine where a generator is meant and a class
where an instance is meant, and fails at the call or not at all. Here each is one line at load: plugin, hook, found,
expected.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from types import ModuleType
from typing import TYPE_CHECKING, Any, final

import pluggy

from modelhub.errors import ModelHubError, PluginError
from modelhub.hookspecs import HOOKS, PROJECT, ProviderHooks
from modelhub.manifest.contract import AUTHOR_MENDS
from modelhub.provider.base import REQUEST_TYPES, ModelProvider
from modelhub.rules.auth import template_variables
from modelhub.rules.names import nearest
from modelhub.types.events import Event
from modelhub.types.records import Progress
from modelhub.types.requests import Request
from modelhub.types.results import Result
from modelhub.types.schema import ModelSchema, ModelType
from modelhub.types.usage import TokenCount
from modelhub.wire.status import classify, error_facts

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from modelhub.provider.context import ProviderContext
    from modelhub.types.json import JSON

__all__ = ["BoundProvider", "bind", "problems_of"]

_MISSPELT = 0.85
"""How alike a name must be to a hook's to have been meant as it."""

_GENERATORS = ("stream", "operate")
_PLAIN = ("provider_schema", "open")
_MARK = f"{PROJECT}_impl"
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(getattr(ProviderHooks, name)).parameters)[1:] for name in HOOKS
}


def problems_of(plugin: object) -> list[str]:
    """Return what is wrong with a plugin object, one line each; nothing where it can be registered."""
    if isinstance(plugin, type):
        hint = "make it a subclass of modelhub.provider.ModelProvider, or name an instance"
        return [f"{plugin.__name__} is a class where an instance is meant: {hint}"]
    problems: list[str] = []
    implemented = 0
    for name, function, marks in _candidates(plugin):
        if name in HOOKS:
            implemented += 1
            problems.extend(f"hook {name}: {problem}" for problem in _problems(name, function, marks))
        else:
            near = nearest(name, HOOKS, most=1)
            hint = f"did you mean {near[0]!r}?" if near else f"hooks are {', '.join(HOOKS)}"
            problems.append(f"hook {name}: there is no such hook; {hint}")
    if not implemented and not problems:
        problems.append(
            "it implements no hook: mark functions with modelhub.provider.hookimpl, or subclass ModelProvider"
        )
    problems.extend(_attribute_problems(plugin))
    return problems


def _candidates(plugin: object) -> Iterator[tuple[str, Callable[..., Any], Mapping[str, Any] | None]]:
    """Yield what is, or was probably meant as, a hook: its name, the function, and its marks if it has any."""
    for name in dir(plugin):
        static = inspect.getattr_static(plugin, name, None)
        static = getattr(static, "__func__", static)  # of a class method or static method
        marks = getattr(static, _MARK, None)
        if marks is None and not _looks_forgotten(plugin, name, static):
            continue
        function = getattr(plugin, name)
        if callable(function):
            yield (marks and marks.get("specname")) or name, function, marks


def _looks_forgotten(plugin: object, name: str, static: object) -> bool:
    """Whether a function without a mark was probably meant as a hook.

    `ModelProvider` marks by name, so that there a misspelt one has no mark; elsewhere the author may have forgotten it.
    """
    if name.startswith("_") or not inspect.isfunction(static):
        return False
    if isinstance(plugin, ModelProvider):
        near = nearest(name, HOOKS, most=1) if name not in {*HOOKS, *dir(ModelProvider)} else []
        return bool(near) and SequenceMatcher(None, name.casefold(), near[0]).ratio() >= _MISSPELT
    return name in HOOKS and (not isinstance(plugin, ModuleType) or static.__module__ == plugin.__name__)


def _problems(name: str, function: Callable[..., Any], marks: Mapping[str, Any] | None) -> Iterator[str]:
    if marks is None:
        yield "it lacks its mark; put @modelhub.provider.hookimpl above it"
        return
    if marks.get("wrapper") or marks.get("hookwrapper"):
        yield "it is a wrapper; a provider's hook answers by itself"
        return
    yield from _argument_problems(_ARGUMENTS[name], function)
    colour = _colour(function)
    if name in _GENERATORS:
        if colour not in {"an async generator", "a function"}:
            yield f"it is {colour}; it must be an async generator (async def with yield)"
    elif name in _PLAIN:
        if colour != "a function":
            hint = "a function decorated with contextlib.asynccontextmanager" if name == "open" else "a plain function"
            yield f"it is {colour}; it must be {hint}"
    elif colour != "a coroutine":
        yield f"it is {colour}; it must be a coroutine (async def)"


def _argument_problems(expected: Sequence[str], function: Callable[..., Any]) -> Iterator[str]:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in expected:
            near = nearest(parameter.name, expected, most=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it may take {', '.join(expected) or 'nothing'}"
            yield f"argument {parameter.name!r} is not one of the hook's; {hint}"
        elif parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            yield f"argument {parameter.name!r} is {parameter.kind.description}; it must be an ordinary one"


def _colour(function: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(function):
        return "an async generator"
    if inspect.iscoroutinefunction(function):
        return "a coroutine"
    if inspect.isgeneratorfunction(function):
        return "a generator"
    return "a function"


def _attribute_problems(plugin: object) -> Iterator[str]:
    auth = _attribute(plugin, "auth", {})
    if not isinstance(auth, Mapping) or not all(isinstance(text, str) for pair in auth.items() for text in pair):
        yield "auth must map names of headers to templates"
    else:
        for name, template in auth.items():
            try:
                template_variables(template)
            except ValueError as error:
                yield f"auth: header {name!r}: {error}"
    codes = _attribute(plugin, "error_codes", {})
    if not isinstance(codes, Mapping) or not all(
        isinstance(error, type) and issubclass(error, ModelHubError) for error in codes.values()
    ):
        yield "error_codes must map the vendor's codes to classes of modelhub.errors"


def _attribute(plugin: object, name: str, default: Any) -> Any:
    """Return what a plugin says beside its hooks. In a module, what it merely imported says nothing."""
    value = getattr(plugin, name, default)
    if isinstance(plugin, ModuleType) and (
        isinstance(value, ModuleType) or getattr(value, "__module__", plugin.__name__) != plugin.__name__
    ):
        return default
    return value


@final
class BoundProvider:
    """A plugin's hooks as callables. A hook that it does not implement is ``None``.

    Attributes:
        id: The provider's id.
        plugin: The plugin object.
    """

    def __init__(self, id: str, plugin: object, hooks: Mapping[str, Callable[..., Any]]) -> None:
        self.id = id
        self.plugin = plugin
        self.validate_provider_credentials: Callable[[ProviderContext], Awaitable[None]] | None
        self.validate_provider_credentials = hooks.get("validate_provider_credentials")
        self.validate_model_credentials: Callable[[str, ModelType, ProviderContext], Awaitable[None]] | None
        self.validate_model_credentials = hooks.get("validate_model_credentials")
        self.list_models: Callable[[ProviderContext], Awaitable[list[ModelSchema]]] | None = hooks.get("list_models")
        self.describe_model: Callable[[str, ModelType, ProviderContext], Awaitable[ModelSchema | None]] | None
        self.describe_model = hooks.get("describe_model")
        self.invoke: Callable[[Request[Any], ProviderContext], Awaitable[Result]] = hooks.get(
            "invoke", _no_hook("invoke", id)
        )
        self.stream: Callable[[Request[Any], ProviderContext], AsyncGenerator[Event, None]]
        self.stream = hooks.get("stream", _no_hook("stream", id))
        self.count_tokens: Callable[[Request[Any], ProviderContext], Awaitable[TokenCount | None]] | None
        self.count_tokens = hooks.get("count_tokens")
        self.operate: Callable[[str, Mapping[str, JSON], ProviderContext], AsyncGenerator[Progress, None]] | None
        self.operate = hooks.get("operate")
        self.open: Callable[[ProviderContext], AbstractAsyncContextManager[object]] | None = hooks.get("open")
        self.provider_schema: Callable[[], object] | None = hooks.get("provider_schema")
        self.auth: Mapping[str, str] = _attribute(plugin, "auth", {})
        self._error_codes: Mapping[str, type[ModelHubError]] = _attribute(plugin, "error_codes", {})
        self._own_classify = _attribute(plugin, "classify", None)
        self._models = plugin.models if isinstance(plugin, ModelProvider) else {}

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
        """Build the error for a refused request, by the plugin's own rule where it has one."""
        if self._own_classify is not None:
            error = self._own_classify(status, headers, body)
            if isinstance(error, ModelHubError):
                return error
        return classify(status, error_facts(status, headers, body, now=time.time()), self._error_codes)

    def times_itself(self, request: Request[Any]) -> bool:
        """Whether the model that serves a request keeps the limits of time by itself."""
        model = self._models.get(REQUEST_TYPES[type(request)])
        return model is not None and model.times_itself

    def batch_size(self) -> int:
        """How many texts the embedding model takes at once."""
        return getattr(self._models.get(ModelType.TEXT_EMBEDDING), "max_batch", 64)

    def speech_type(self, request: Request[Any]) -> str:
        """The media type of the sound that a request asks for."""
        model = self._models.get(ModelType.TTS)
        return model.mime(request) if model is not None and hasattr(model, "mime") else "audio/wav"

    def __repr__(self) -> str:
        return f"<provider {self.id}>"


def _no_hook(name: str, id: str) -> Callable[..., Any]:
    def missing(*_: object) -> Any:
        raise PluginError(f"the plugin of provider {id!r} does not implement the hook {name!r}")

    return missing


def bind(id: str, plugin: object) -> BoundProvider:
    """Register a plugin with a pluggy manager of its own and bind its hooks.

    Raises:
        PluginError: It cannot be registered; the message has a line for each problem.
    """
    problems = problems_of(plugin)
    if problems:
        raise PluginError("; ".join(problems), remedy=AUTHOR_MENDS)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(ProviderHooks)
    manager.register(plugin, name=id)
    manager.check_pending()
    hooks = {}
    for name in HOOKS:
        implementations = getattr(manager.hook, name).get_hookimpls()
        if implementations:
            hooks[name] = _narrowed(implementations[-1].function, _ARGUMENTS[name])
    return BoundProvider(id, plugin, hooks)


def _narrowed(function: Callable[..., Any], given: tuple[str, ...]) -> Callable[..., Any]:
    """Let a hook be called with all arguments in order, whichever of them the plugin takes.

    The signature counts and not pluggy's reading of it, which leaves out arguments with a default.
    """
    taken = tuple(inspect.signature(function).parameters)
    if taken == given:
        return function
    places = [given.index(name) for name in taken]

    def call(*arguments: object) -> Any:
        return function(*(arguments[place] for place in places))

    return call
