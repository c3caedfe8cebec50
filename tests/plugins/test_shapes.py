"""Plugins that are no subclass of anything, or write only half of what a model can: they serve all the same."""

import pytest

from modelhub import FinishReason, ModelHub, Usage
from modelhub.errors import ModelNotFound, PluginError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("working")]


async def test_a_module_of_functions() -> None:
    """Each hook takes the arguments that it needs."""
    async with ModelHub() as hub:
        assert (await hub.chat("acme_functions/parrot", "pretty polly")).text == "pretty polly"
        async with hub.stream("acme_functions/parrot", "pretty polly") as stream:
            assert [text async for text in stream.text()] == ["pretty", "polly"]
        assert [schema.model for schema in await hub.models("acme_functions")] == ["parrot"]
        assert (await hub.count_tokens("acme_functions/parrot", "polly")).tokens == 5
        assert (await hub.info("acme_functions/cockatoo")).model == "cockatoo"
        with pytest.raises(ModelNotFound):
            await hub.info("acme_functions/dodo")


async def test_what_a_module_does_not_implement_is_named() -> None:
    """The hub makes nothing up."""
    async with ModelHub() as hub:
        with pytest.raises(PluginError, match="does not implement the hook 'stream'"):
            async with hub.stream("acme_object/m", "x"):
                pass


async def test_an_instance() -> None:
    """It is the same in every hub, with its arguments in an order of its own."""
    answers = []
    for _ in range(2):
        async with ModelHub() as hub:
            answers.append((await hub.chat("acme_object/any", "x")).text)
    counts = [int(answer.removeprefix("acme_object any ")) for answer in answers]
    assert counts[0] > 40
    assert counts[1] == counts[0] + 1


async def test_a_model_that_only_writes_invoke() -> None:
    """Its stream is taken from the whole answer, part by part."""
    async with ModelHub() as hub:
        reply = await hub.chat("acme_local", "hi there")
        async with hub.stream("acme_local", "hi there") as stream:
            kinds = [event.type async for event in stream]
    assert (reply.text, reply.reasoning, reply.usage) == ("HI THERE", "loudly", Usage(8, 8))
    assert kinds == ["started", "reasoning", "text", "finish"]
    assert stream.result.message == reply.message
    assert (stream.result.usage, stream.result.finish_reason) == (reply.usage, FinishReason.STOP)


async def test_a_provider_without_a_form_is_valid_as_it_is() -> None:
    """And takes no credentials."""
    async with ModelHub() as hub:
        assert (await hub.validate("acme_local")).stages == ("form",)
        assert (await hub.validate("acme_local", model="shouter")).stages == ("form", "model shouter")
        report = await hub.validate("acme_local", {"api_key": "k"})
        assert report.errors == {"api_key": "there are no fields"}
