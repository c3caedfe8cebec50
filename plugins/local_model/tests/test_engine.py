"""The engine with the real default model, and with a tiny one where the words do not matter."""

import contextlib
import gc
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelhub.errors import BadRequest, ConfigurationError, ContextLengthExceeded, Overloaded, ServerError
from modelhub_local_model.engine import Engine
from modelhub_local_model.generation import Generation
from modelhub_local_model.gguf import read_header
from modelhub_local_model.loading_steps import Stopped
from modelhub_local_model.settings import EngineSettings

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}},
}
AS_PERSON = {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}}
HALF_SECOND = 0.5


@pytest.fixture(scope="module")
def engine(default_model: Path) -> Iterator[Engine]:
    """Load the default model once for this module."""
    engine = Engine(read_header(default_model), EngineSettings(context_size=2048, threads=1))
    yield engine
    engine.close()


@pytest.fixture
def tiny_engine(tiny_model: Path) -> Iterator[Engine]:
    """Load the tiny model for one test."""
    engine = Engine(read_header(tiny_model), EngineSettings(max_waiting=4, threads=1))
    yield engine
    engine.close()


def asking(text: str, **parameters: object) -> dict[str, object]:
    """Return a request with one user message."""
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 24, "seed": 1, **parameters}


def text_of(pieces: list[dict[str, Any]]) -> str:
    """Return the words of an answer."""
    deltas = [choice["delta"].get("content") for piece in pieces for choice in piece["choices"]]
    return "".join(delta or "" for delta in deltas)


def wait_until_idle(engine: Engine) -> float:
    """Return the seconds until nothing runs or waits."""
    begin = time.perf_counter()
    while "0 running, 0 waiting" not in repr(engine):
        assert time.perf_counter() - begin < 10, repr(engine)
        time.sleep(0.001)
    return time.perf_counter() - begin


def test_answers_token_by_token(engine: Engine) -> None:
    """The first word is read while the engine still writes, and each token is a piece of its own."""
    generation = engine.generate(asking("Tell me a story.", temperature=0, ignore_eos=True))
    first = next(piece for piece in generation if text_of([piece]))
    assert re.match("<Generation running", repr(generation))
    rest = list(generation)
    assert len([piece for piece in [first, *rest] if text_of([piece])]) > 20
    assert rest[-2]["choices"][0]["finish_reason"] == "length"
    assert rest[-1]["usage"]["completion_tokens"] == 24
    assert {piece["model"] for piece in rest} == {"SmolLM2-135M-Instruct.Q4_1"}


def test_stops_by_itself_and_at_stop_words(engine: Engine) -> None:
    """The model's own end and a stop word both finish with stop."""
    for extra in ({"max_tokens": 200}, {"stop": [" "], "temperature": 0}):
        pieces = list(engine.generate(asking("Say hello.", **extra)))
        assert pieces[-2]["choices"][0]["finish_reason"] == "stop"


def test_the_same_seed_gives_the_same_answer(engine: Engine) -> None:
    """A seed makes an answer repeatable."""
    answers = [
        text_of(list(engine.generate(asking("Name an animal.", seed=seed, temperature=1.2)))) for seed in (3, 3, 4)
    ]
    assert answers[0] == answers[1] != answers[2]


def test_gives_log_probabilities(engine: Engine) -> None:
    """Log probabilities come with each token when they are asked for."""
    pieces = list(engine.generate(asking("Hi", logprobs=True, top_logprobs=3, max_tokens=3)))
    tokens = [
        entry
        for piece in pieces
        for choice in piece["choices"]
        for entry in (choice.get("logprobs") or {}).get("content", [])
    ]
    assert len(tokens) >= 2
    assert all(len(entry["top_logprobs"]) == 3 and entry["logprob"] <= 0 for entry in tokens)


@pytest.mark.parametrize("seed", range(3))
def test_a_schema_holds_the_answer(engine: Engine, seed: int) -> None:
    """Whatever the model would like to say, it is JSON of the schema."""
    request = asking("Hello, who are you?", seed=seed, temperature=1.0, max_tokens=200, **AS_PERSON)
    person = json.loads(text_of(list(engine.generate(request))))
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"tools": [WEATHER]},
        {"tools": [WEATHER], "tool_choice": "required"},
        AS_PERSON,
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Apa kabar? 你好 🙂"}]},
        {
            "messages": [
                {"role": "user", "content": "One"},
                {"role": "assistant", "content": "Two"},
                {"role": "user", "content": "<|im_end|> is three\n\n  " * 5},
            ]
        },
        {"messages": [{"role": "user", "content": ""}]},
    ],
    ids=["plain", "tools", "forced tool", "schema", "unicode", "turns", "empty"],
)
def test_counts_as_the_engine_does(engine: Engine, extra: Mapping[str, object]) -> None:
    """The count for a request is the number of prompt tokens that its answer reports."""
    request = asking("Hello there", **{**extra, "max_tokens": 2})
    pieces = list(engine.generate(request))
    assert engine.count_tokens(request) == pieces[-1]["usage"]["prompt_tokens"] > 0


def test_refuses_what_does_not_fit(engine: Engine) -> None:
    """A prompt beyond the context is refused with both numbers, and counted all the same."""
    request = asking("cat " * 3000)
    with pytest.raises(ContextLengthExceeded) as caught:
        list(engine.generate(request))
    assert caught.value.input_tokens == engine.count_tokens(request) > 3000
    assert caught.value.context_size == engine.context_size == 2048


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": "hello"},
        {},
        asking("x", temperature="hot"),
        asking("x", max_tokens=-7),
        asking("x", tools=5),
        asking("x", response_format={"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}),
    ],
)
def test_refuses_what_is_no_request(engine: Engine, request_: Mapping[str, object]) -> None:
    """A request that the engine cannot read is the caller's to mend, and the engine goes on."""
    with pytest.raises(BadRequest):
        list(engine.generate(request_))
    assert list(engine.generate(asking("x", max_tokens=1)))


def nested(depth: int) -> object:
    """Return a list within a list, and so on."""
    value: object = "end"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("content", ["\ud800", float("nan"), {1, 2}, nested(100_000)])
def test_refuses_what_is_no_json(engine: Engine, content: object) -> None:
    """What cannot be written as JSON never reaches the engine."""
    for call in (engine.generate, engine.count_tokens):
        with pytest.raises(BadRequest, match="cannot be written as JSON"):
            call({"messages": content})


def test_cancels_an_answer_at_once(engine: Engine) -> None:
    """A cancel frees the engine within a token."""
    generation = engine.generate(asking("Tell me a long story.", max_tokens=1500, ignore_eos=True))
    next(generation)
    generation.cancel()
    assert wait_until_idle(engine) < HALF_SECOND
    with pytest.raises(Stopped):
        next(generation)


def test_cancels_while_the_prompt_is_read(engine: Engine) -> None:
    """A long prompt does not hold up a cancel: it is read in small batches."""
    generation = engine.generate(asking("The cat sat on the mat and looked at the dog. " * 150))
    time.sleep(0.2)
    assert "1 running" in repr(engine)
    begin = time.process_time()  # what a busy machine does meanwhile does not count
    generation.cancel()
    wait_until_idle(engine)
    assert time.process_time() - begin < 2 * HALF_SECOND


def test_each_parallel_answer_has_the_whole_context(tiny_engine: Engine) -> None:
    """The context is not divided among the answers that are written at the same time."""
    filling = asking("x" * (tiny_engine.context_size - 40), max_tokens=8, ignore_eos=True)
    answers = [list(generation) for generation in [tiny_engine.generate(filling) for _ in range(2)]]
    assert [answer[-1]["usage"]["completion_tokens"] for answer in answers] == [8, 8]
    with pytest.raises(ContextLengthExceeded) as caught:
        list(tiny_engine.generate(asking("x" * 400)))
    assert caught.value.context_size == tiny_engine.context_size == 256


def test_more_answers_wait_for_their_turn(tiny_engine: Engine) -> None:
    """More answers than lanes are all written, the first ones first."""
    generations = [tiny_engine.generate(asking("Hi", ignore_eos=True)) for _ in range(6)]
    finished: list[int] = []

    def read(number: int, generation: Generation) -> None:
        for _ in generation:
            pass
        finished.append(number)

    threads = [threading.Thread(target=read, args=pair) for pair in enumerate(generations)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(finished) == list(range(6))
    assert set(finished[:2]) <= {0, 1, 2}


def test_refuses_when_too_many_wait(tiny_engine: Engine) -> None:
    """A full queue refuses; one that was cancelled leaves room at once."""
    busy = [tiny_engine.generate(asking("Hi", max_tokens=200, ignore_eos=True)) for _ in range(2)]
    while "2 running" not in repr(tiny_engine):
        time.sleep(0.001)
    waiting = [tiny_engine.generate(asking("Hi", max_tokens=1)) for _ in range(4)]
    with pytest.raises(Overloaded, match="4 answers are waiting"):
        tiny_engine.generate(asking("Hi"))
    waiting[2].cancel()
    assert list(tiny_engine.generate(asking("Hi", max_tokens=1)))
    assert all(list(one) for one in (*busy, waiting[0], waiting[1], waiting[3]))


def test_unread_answers_do_not_hold_up_others(tiny_engine: Engine) -> None:
    """An answer that nobody reads leaves its lane when it is written."""
    unread = [tiny_engine.generate(asking("Hi")) for _ in range(3)]
    assert list(tiny_engine.generate(asking("Hi")))
    wait_until_idle(tiny_engine)
    assert all(len(list(one)) > 2 for one in unread)


def test_closing_ends_answers_and_frees_everything(tiny_model: Path) -> None:
    """Readers get an error, running or waiting; threads and the listener are gone; more closes are harmless."""
    threads, tasks = threading.active_count(), len(list(Path("/proc/self/task").iterdir()))
    engine = Engine(read_header(tiny_model), EngineSettings(parallel=1, threads=1))
    running, waiting = [engine.generate(asking("Hi", max_tokens=200, ignore_eos=True)) for _ in range(2)]
    next(running)
    engine.close()
    engine.close()
    assert repr(engine).endswith(": closed>")
    for generation in (running, waiting):
        with pytest.raises(ServerError, match="was closed") as caught:
            list(generation)
        assert caught.value.code == "engine_closed"
    for call in (engine.generate, engine.count_tokens):
        with pytest.raises(ServerError, match="was closed"):
            call(asking("Hi"))
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/task").iterdir())) <= tasks


def test_the_listener_answers_to_nobody_else(engine: Engine) -> None:
    """Without the key nothing is answered but that the engine lives, and nothing says which file it runs."""
    address = engine._native._address  # noqa: SLF001  the address is nobody's business, so there is no public way to it
    for method, path in (("POST", "/tokenize"), ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/")):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", address.port, timeout=5)) as connection:
            connection.request(method, path, "{}" if method == "POST" else None)
            response = connection.getresponse()
            assert response.status in {401, 404}
            assert b"SmolLM2" not in response.read()


def test_says_what_does_not_fit_the_model(tiny_model: Path) -> None:
    """A context beyond the model's training is refused with both numbers, before anything is loaded."""
    with pytest.raises(ConfigurationError, match=r"context_size is 512; tiny\.gguf was trained for 256 tokens"):
        Engine(read_header(tiny_model), EngineSettings(context_size=512))


@pytest.mark.parametrize("name", ["context_size", "parallel", "max_waiting", "threads"])
def test_refuses_settings_below_one(name: str) -> None:
    """Counts are one or more."""
    with pytest.raises(ConfigurationError, match=f"{name} is 0"):
        EngineSettings(**{name: 0})


def test_says_when_the_engine_cannot_load_a_file(write_gguf: Any) -> None:
    """A file that is whole and no model of the engine's is refused with what to do."""
    with pytest.raises(ServerError, match="verbosity 3") as caught:
        Engine(read_header(write_gguf()), EngineSettings())
    assert caught.value.code == "engine_load_failed"


def test_takes_a_template_in_place_of_the_models_own(tiny_engine: Engine, tiny_model: Path) -> None:
    """The template that is given makes the prompt."""
    settings = EngineSettings(chat_template="{% for m in messages %}{{ m.content }}\n{% endfor %}")
    engine = Engine(read_header(tiny_model), settings)
    try:
        assert engine.count_tokens(asking("Hi")) < tiny_engine.count_tokens(asking("Hi"))
    finally:
        engine.close()


def resident_bytes() -> int:
    """Return the memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_memory_does_not_grow(tiny_engine: Engine) -> None:
    """Two thousand short answers leave nothing behind: what an answer costs is not the weights'."""
    for number in range(2200):
        if number == 200:
            before = resident_bytes()
        list(tiny_engine.generate(asking(f"Number {number}", max_tokens=2)))
    assert resident_bytes() - before < 8 << 20
