"""Tools that a model may ask to be run, and how it must choose among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeAlias, TypeVar, cast

from modelhub.types.json import JSON

__all__ = ["Tool", "ToolChoice", "ToolFunction", "tool"]

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)

ToolChoice: TypeAlias = str
"""``auto``, ``none``, ``required``, or the name of the one tool to call."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the model sees it.

    Attributes:
        name: What the model calls it by.
        description: What it does, in words for the model.
        parameters: A JSON Schema of an object.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, JSON] = field(default_factory=lambda: {"type": "object", "properties": {}})


class ToolFunction(Generic[P, T_co]):
    """A function with the `Tool` that describes it; calling it calls the function."""

    __slots__ = ("function", "tool")

    def __init__(self, function: Callable[P, T_co], described: Tool) -> None:
        self.function: Callable[P, T_co] = function
        self.tool: Tool = described

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.tool.name}>"


def tool(function: Callable[P, T_co]) -> ToolFunction[P, T_co]:
    """Describe a function as a tool: its name, its docstring, and its annotated parameters as JSON Schema.

    Raises:
        ConfigurationError: The parameters have annotations that JSON Schema cannot say, or no names.

    Example:
        >>> @tool
        ... def weather(city: str, days: int = 1) -> str:
        ...     "Forecast for a city."
        ...     return f"{city}: sun for {days} days"
        >>> weather.tool.name
        'weather'
        >>> weather("Bandung")
        'Bandung: sun for 1 days'
    """
    import inspect  # noqa: PLC0415  both are wanted only where an application declares tools

    from pydantic import TypeAdapter  # noqa: PLC0415

    from modelhub.errors import ConfigurationError  # noqa: PLC0415

    name = function.__name__
    try:
        schema = TypeAdapter[object](function).json_schema()  # type: ignore[arg-type]  # a function is described too
    except Exception as error:
        message = f"the parameters of tool {name!r} cannot be described: {error}"
        raise ConfigurationError(message, remedy="annotate every parameter with a type that JSON can hold") from error
    if schema.get("type") != "object":
        message = f"tool {name!r} takes arguments by their place, and models give them by name"
        raise ConfigurationError(message, remedy="write its parameters without / and without *")
    parameters = cast("Mapping[str, JSON]", schema)
    return ToolFunction(function, Tool(name, inspect.getdoc(function) or "", parameters))
