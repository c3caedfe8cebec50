"""What an application may get wrong: each time an error of ours that says what to do, and nobody else is blamed."""

import pytest

from modelhub import ChatRequest, ModelHub, UserMessage
from modelhub.errors import BadRequest, ConfigurationError
from modelhub.testing.scripted import ScriptedProvider

pytestmark = pytest.mark.anyio


async def test_a_model_type_that_is_none() -> None:
    """Its wire name will do; anything else is refused with the names there are."""
    async with ModelHub({}, providers=[ScriptedProvider()]) as hub:
        assert (await hub.info("scripted/m", "llm")).model == "m"  # type: ignore[arg-type]
        for ask in (hub.info("scripted/m", "lmm"), hub.models("scripted", "lmm")):  # type: ignore[arg-type]
            with pytest.raises(ConfigurationError, match="no model type") as caught:
                await ask
            assert "text-embedding" in str(caught.value)


async def test_several_credentials_are_not_validated_as_one() -> None:
    """A report is of one credential: none is passed over."""
    async with ModelHub({}, providers=[ScriptedProvider()]) as hub:
        with pytest.raises(ConfigurationError, match="one at a time"):
            await hub.validate("scripted", [{"a": 1}, {}])


async def test_nothing_beside_a_request_is_dropped() -> None:
    """A request says everything itself."""
    request = ChatRequest[None](model="scripted/m", messages=[UserMessage("Hi")])
    async with ModelHub({}, providers=[ScriptedProvider("Hello")]) as hub:
        with pytest.raises(BadRequest, match="beside it"):
            async with hub.stream(request, temperature=3):  # type: ignore[call-overload]
                pytest.fail("entered")
        async with hub.stream(request) as stream:
            assert "".join([text async for text in stream.text()]) == "Hello"
