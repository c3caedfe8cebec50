"""A function's signature and docstring are all that a tool needs; what JSON Schema cannot say is refused at once."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from modelhub.errors import ConfigurationError
from modelhub.types.tools import Tool, tool


@dataclass
class Place:
    """Where."""

    city: str
    country: str = "ID"


@tool
def weather(place: Place, days: int = 1, unit: Literal["C", "F"] = "C") -> str:
    """Forecast the weather.

    In words.
    """
    return f"{place.city}: sun for {days} days, 30 {unit}"


@tool
async def now(zone: str) -> str:
    """Tell the time."""
    return f"noon in {zone}"


def test_a_tool_is_described_by_its_function() -> None:
    """Name, docstring, and a JSON Schema of the parameters."""
    assert weather.tool.name == "weather"
    assert weather.tool.description == "Forecast the weather.\n\nIn words."
    schema: Any = weather.tool.parameters
    assert schema["type"] == "object"
    assert schema["required"] == ["place"]
    assert schema["properties"]["days"]["type"] == "integer"
    assert schema["properties"]["unit"]["enum"] == ["C", "F"]


def test_a_decorated_function_is_still_the_function() -> None:
    """It can be called and tested as before."""
    assert weather(Place("Bandung"), days=2) == "Bandung: sun for 2 days, 30 C"
    assert repr(weather) == "<tool weather>"


@pytest.mark.anyio
async def test_a_coroutine_function_is_a_tool_too() -> None:
    """Calling it gives what awaiting gives."""
    assert now.tool.description == "Tell the time."
    assert await now("WIB") == "noon in WIB"


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    """Vendors want an object all the same."""

    def ping() -> None:
        pass

    described = tool(ping).tool
    assert described.parameters["type"] == "object"
    assert described.description == ""


def test_what_cannot_be_described_is_refused_where_it_is_written() -> None:
    """Not at the first call to a model."""

    class Opaque:
        pass

    def takes_anything(opaque: Opaque) -> None:
        del opaque

    def takes_by_place(a: int, /) -> None:
        del a

    def takes_any_number(*numbers: int) -> None:
        del numbers

    for function in (takes_anything, takes_by_place, takes_any_number):
        with pytest.raises(ConfigurationError, match=function.__name__):
            tool(function)


def test_a_tool_by_hand_takes_no_arguments_unless_it_says_so() -> None:
    """The default schema is an object without properties."""
    assert Tool("ping").parameters == {"type": "object", "properties": {}}
