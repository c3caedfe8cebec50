"""The provider through the hub: real answers from the model in this process, on asyncio and trio."""

import time
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from modelhub import MediaPart, ModelHub, Progress, TextPart, Tool, UserMessage
from modelhub.errors import (
    BadRequest,
    ModelHubError,
    ModelNotFound,
    StreamNotFinished,
    UnknownModel,
    UnsupportedFeature,
)

pytestmark = pytest.mark.anyio

MODEL = "local_model/smollm2-135m-instruct"
CONTEXT = 1024
ON_ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # what the engine answers knows no event loop


@pytest.fixture(autouse=True)
def short_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load the model with a short context: each hub here loads it anew, and memory for the whole is slow to get."""
    monkeypatch.setenv("MODELHUB_LOCAL_MODEL_CONTEXT_SIZE", str(CONTEXT))
    monkeypatch.setenv("MODELHUB_LOCAL_MODEL_THREADS", "1")


@dataclass
class Weather:
    """A shape to hold an answer to."""

    city: str
    celsius: int


async def test_a_stream_token_by_token_and_an_exact_count() -> None:
    """The pieces are the answer, and the engine's own count of the prompt is what counting gives."""
    steps: list[Progress] = []
    async with ModelHub(progress=steps.append) as hub:
        async with hub.stream("local_model", "Name a river.", max_tokens=12, temperature=0) as stream:
            pieces = [text async for text in stream.text()]
        counted = await hub.count_tokens(MODEL, "Name a river.")
    assert len(pieces) > 5
    assert "".join(pieces) == stream.result.text
    assert stream.result.usage is not None
    assert stream.result.usage.output_tokens == 12
    assert stream.result.finish_reason == "length"
    assert (counted.tokens, counted.estimated) == (stream.result.usage.input_tokens, False)
    assert any("loading" in step.message for step in steps)


async def test_a_stream_that_is_left_says_how_long_its_prompt_was() -> None:
    """The engine counts it before the first token."""
    async with ModelHub() as hub:
        async with hub.stream("local_model", "Name a river.", max_tokens=12) as stream:
            async for event in stream:
                if event.type == "text":
                    break
        counted = await hub.count_tokens(MODEL, "Name a river.")
    assert stream.partial.usage is not None
    assert (stream.partial.usage.input_tokens, stream.partial.usage.output_tokens) == (counted.tokens, None)


async def test_whole_and_streamed_answers_agree() -> None:
    """One path serves both; a temperature of 0 makes them the same."""
    async with ModelHub() as hub:
        reply = await hub.chat(MODEL, "Say hello.", system="Be brief.", max_tokens=10, temperature=0)
        async with hub.stream(MODEL, "Say hello.", system="Be brief.", max_tokens=10, temperature=0) as stream:
            async for _ in stream:
                pass
    assert reply.text == stream.result.text
    assert reply.cost is not None
    assert reply.cost.total == 0


@ON_ONE_LOOP
async def test_an_answer_held_to_a_schema() -> None:
    """The grammar holds the model to the shape, however foolish the values."""
    async with ModelHub() as hub:
        reply = await hub.chat(
            MODEL, "Paris has 21 degrees. Report it.", response_format=Weather, max_tokens=60, temperature=0
        )
    assert isinstance(reply.output, Weather)
    assert isinstance(reply.output.celsius, int)


async def test_leaving_a_stream_stops_the_engine() -> None:
    """The next answer does not wait for the tokens that nobody wants any more."""
    async with ModelHub({"credentials": {"local_model": {"parallel": 1}}}) as hub:
        async with hub.stream(MODEL, "Tell a very long story about the sea.", max_tokens=2000) as stream:
            async for _ in stream.text():
                break
        with pytest.raises(StreamNotFinished):
            _ = stream.result
        start = time.monotonic()
        await hub.chat(MODEL, "Hi", max_tokens=1)
        assert time.monotonic() - start < 5


async def test_cancelling_stops_the_engine_and_is_not_swallowed() -> None:
    """A caller that is cancelled in the middle leaves the engine to others."""
    async with ModelHub({"credentials": {"local_model": {"parallel": 1}}}) as hub:
        await hub.chat(MODEL, "Hi", max_tokens=1)
        with anyio.move_on_after(0.3) as scope:
            await hub.chat(MODEL, "Tell a very long story about the sea.", max_tokens=2000)
        assert scope.cancelled_caught
        await hub.chat(MODEL, "Hi", max_tokens=1)


async def test_answers_at_the_same_time_share_one_load() -> None:
    """Five callers at once: one load, five answers."""
    steps: list[Progress] = []
    texts: list[str] = []
    async with ModelHub(progress=steps.append) as hub:

        async def ask() -> None:
            texts.append((await hub.chat(MODEL, "Hi", max_tokens=3, temperature=0)).text)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
    assert len(texts) == 5
    assert len(set(texts)) == 1


@ON_ONE_LOOP
async def test_token_probabilities() -> None:
    """As many as tokens, with the likeliest others."""
    async with ModelHub() as hub:
        reply = await hub.chat(MODEL, "Hi", max_tokens=4, temperature=0, logprobs=True, top_logprobs=2)
    assert reply.logprobs
    assert all(each.logprob <= 0 and len(each.top) == 2 for each in reply.logprobs)


@ON_ONE_LOOP
async def test_operations() -> None:
    """Pull finds the file that is here, preload loads it, unload frees it."""
    async with ModelHub() as hub:
        pulled = [step.message async for step in hub.operate("local_model", "pull")]
        loaded = [step async for step in hub.operate("local_model", "preload", model="smollm2-135m-instruct")]
        freed = [step.message async for step in hub.operate("local_model", "unload")]
        again = [step.message async for step in hub.operate("local_model", "unload")]
    assert pulled[-1].endswith("is here")
    assert loaded[-1].data == {"context_size": CONTEXT}
    assert freed == ["smollm2-135m-instruct is freed"]
    assert again == ["smollm2-135m-instruct was not loaded"]


async def test_what_the_model_is() -> None:
    """The file tells, in the words of its YAML."""
    async with ModelHub() as hub:
        info = await hub.info(MODEL)
        models = await hub.models("local_model")
        report = await hub.validate("local_model", model="smollm2-135m-instruct")
    assert info.context_size == 8192
    assert info.model_properties["architecture"] == "llama"
    assert [model.model for model in models] == ["smollm2-135m-instruct"]
    assert report.ok
    assert report.stages[0] == "form"


@ON_ONE_LOOP
async def test_what_is_refused_before_the_engine() -> None:
    """Each by name: an image, tools, reasoning, an unknown parameter, a bad number, a prompt that is too long."""
    image = UserMessage([TextPart("What is this?"), MediaPart("image/png", b"x")])
    async with ModelHub() as hub:
        with pytest.raises(UnsupportedFeature, match="take images"):
            await hub.chat(MODEL, image)
        with pytest.raises(UnsupportedFeature, match="call tools"):
            await hub.chat(MODEL, "Hi", tools=[Tool("weather")])
        with pytest.raises(UnsupportedFeature) as caught:
            await hub.chat(MODEL, "Hi", reasoning="high")
        assert caught.value.parameter == "reasoning"
        with pytest.raises(BadRequest, match="max_tokens"):
            await hub.chat(MODEL, "Hi", max_tokens=0)
        with pytest.raises(ModelHubError) as too_long:
            await hub.chat(MODEL, "word " * 2 * CONTEXT, max_tokens=1)
        assert type(too_long.value).__name__ == "ContextLengthExceeded"


async def test_files_that_are_no_models(tmp_path: Path) -> None:
    """A path that is nothing, a file that is no GGUF, one that is cut short, and a name that is neither."""
    text = tmp_path / "notes.gguf"
    text.write_text("not a model")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x00" * 8)
    async with ModelHub() as hub:
        for path in (tmp_path / "missing.gguf", text, cut):
            with pytest.raises(ModelNotFound, match=path.name):
                await hub.chat(f"local_model/{path}", "Hi", max_tokens=1)
        with pytest.raises((ModelNotFound, UnknownModel), match="smollm2-135m"):
            await hub.chat("local_model/smollm2-135m-instuct", "Hi", max_tokens=1)


@ON_ONE_LOOP
async def test_a_number_of_the_form_that_is_none() -> None:
    """Said before anything is loaded."""
    async with ModelHub() as hub:
        with pytest.raises(ModelHubError, match="context_size"):
            await hub.chat(MODEL, "Hi", credentials={"context_size": 0.5})
        with pytest.raises(ModelHubError, match="8192"):
            await hub.chat(MODEL, "Hi", credentials={"context_size": 100000})
