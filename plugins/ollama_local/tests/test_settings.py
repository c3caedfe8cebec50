"""Parameters on the wire: Ollama's own names, in the right place, and only those that the caller set."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.types.schema import ModelSchema
from modelhub_ollama_local.keep_alive import keep_alive
from modelhub_ollama_local.show import schema_of

Body = Callable[..., dict[str, Any]]


def test_without_parameters_there_are_no_options(body: Body) -> None:
    """Nothing is sent that the caller did not set: the Modelfile's own values must count."""
    assert body() == {
        "path": "/api/chat",
        "model": "llama3",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": False,
    }


def test_stream_is_sent_both_ways(body: Body) -> None:
    """The server streams where nothing is said, so it is always said."""
    assert body(stream=False)["stream"] is False
    assert body(stream=True)["stream"] is True


def test_max_tokens_is_num_predict_and_nothing_else(body: Body) -> None:
    """`max_tokens` is unknown to the server, which would generate without limit."""
    sent = body(parameters={"max_tokens": 5})
    assert sent["options"] == {"num_predict": 5}
    assert "max_tokens" not in repr(sent)


@pytest.mark.parametrize("stop", ["X", ["X"], ("X",)])
def test_stop_is_always_a_list(body: Body, stop: object) -> None:
    """The server refuses a bare text, blaming itself."""
    assert body(parameters={"stop": stop})["options"] == {"stop": ["X"]}


def test_sampling_goes_into_options_under_its_own_name(body: Body) -> None:
    """Neutral names that Ollama shares pass as they are."""
    sampling = {
        "temperature": 0.2,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "repeat_penalty": 1.1,
    }
    assert body(parameters=sampling)["options"] == sampling


def test_probabilities_stand_beside_the_options(body: Body) -> None:
    """Logprobs and top_logprobs are fields of the request; the second is nothing without the first."""
    sent = body(parameters={"top_logprobs": 3})
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 3)
    assert "options" not in sent


def test_vendor_options_go_where_they_belong(body: Body) -> None:
    """Options of the runner go into `options`, the others beside it."""
    sent = body(options={"num_ctx": 8192, "use_mmap": False, "truncate": False, "shift": False, "keep_alive": "5m"})
    assert sent["options"] == {"num_ctx": 8192, "use_mmap": False}
    assert (sent["truncate"], sent["shift"], sent["keep_alive"]) == (False, False, "5m")


def test_a_vendor_option_goes_before_the_neutral_parameter_it_equals(body: Body) -> None:
    """What was said to this provider in its own words is the more exact of the two."""
    assert body(parameters={"max_tokens": 5}, options={"num_predict": -1})["options"] == {"num_predict": -1}


def test_an_option_of_none_is_not_sent(body: Body) -> None:
    """`None` is the same as leaving it out."""
    assert "options" not in body(options={"num_ctx": None})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_tokens", "num_predict"),
        ("context_size", "num_ctx"),
        ("num_cxt", "num_ctx"),
        ("format", "response_format"),
        ("mirostat", "no longer"),
        ("zzz", "options here are"),
    ],
)
def test_an_unknown_option_is_refused_with_what_was_meant(body: Body, name: str, meant: str) -> None:
    """The server ignores what it does not know, so a misspelt option would be lost in silence."""
    with pytest.raises(BadRequest, match=meant) as caught:
        body(options={name: 1})
    assert caught.value.parameter == name


def test_num_predict_of_0_is_refused(body: Body) -> None:
    """The server takes 0 for no limit at all."""
    with pytest.raises(BadRequest, match="no limit") as caught:
        body(options={"num_predict": 0})
    assert caught.value.parameter == "num_predict"


@pytest.mark.parametrize("stop", [5, ["a", 5], {"a": 1}])
def test_a_stop_that_is_no_text_is_refused(body: Body, stop: object) -> None:
    """Only texts can end an answer."""
    with pytest.raises(BadRequest, match="stop"):
        body(options={"stop": stop})


@pytest.mark.parametrize("parameters", [{"user": "u1"}, {"parallel_tool_calls": False}])
def test_what_ollama_has_nothing_like_is_refused_by_name(body: Body, parameters: dict[str, Any]) -> None:
    """The server would ignore it."""
    with pytest.raises(UnsupportedFeature) as caught:
        body(parameters=parameters)
    assert caught.value.parameter in parameters


def test_parallel_tool_calls_as_they_are_anyway_need_not_be_said(body: Body) -> None:
    """What is the only way there is can be asked for."""
    assert "options" not in body(parameters={"parallel_tool_calls": True})


GPT_OSS = [
    schema_of("GPT-OSS:20b", {}),
    schema_of("hf.co/unsloth/gpt-oss-20b-GGUF", {}),
    schema_of("renamed", {"details": {"family": "gptoss"}}),
]


@pytest.mark.parametrize("schema", GPT_OSS)
@pytest.mark.parametrize("level", ["low", "medium", "high"])
def test_gpt_oss_is_given_levels(body: Body, schema: ModelSchema, level: str) -> None:
    """The gpt-oss family ignores on and off and needs one of its three levels."""
    assert body(parameters={"reasoning": level}, schema=schema)["think"] == level


@pytest.mark.parametrize("schema", GPT_OSS)
def test_gpt_oss_thinks_by_itself(body: Body, schema: ModelSchema) -> None:
    """On, without a level, is said as it is: the server's own level counts."""
    assert body(parameters={"reasoning": True}, schema=schema)["think"] is True


@pytest.mark.parametrize(
    ("reasoning", "think"),
    [("none", False), (False, False), (True, True), ("minimal", True), ("low", True), ("high", True), ("max", True)],
)
def test_other_models_are_given_on_or_off(body: Body, reasoning: object, think: bool) -> None:  # noqa: FBT001
    """Every level that means thinking turns it on."""
    assert body(parameters={"reasoning": reasoning})["think"] is think


@pytest.mark.parametrize("think", [True, False, "low", "medium", "high", "max"])
def test_think_in_ollamas_own_words_passes_as_it_is(body: Body, think: object) -> None:
    """The vendor option says exactly what goes to the server."""
    assert body(options={"think": think})["think"] == think


@pytest.mark.parametrize("think", ["enormous", "", 5])
def test_a_level_that_the_server_refuses_is_refused_before_it(body: Body, think: object) -> None:
    """The complaint names the option."""
    with pytest.raises(BadRequest) as caught:
        body(options={"think": think})
    assert caught.value.parameter == "think"


@pytest.mark.parametrize(
    ("given_", "sent"),
    [
        ("-1", -1),
        ("300", 300),
        (" 300 ", 300),
        ("1.5", 1.5),
        ("0", 0),
        ("5m", "5m"),
        ("1h30m", "1h30m"),
        ("-1m", "-1m"),
        ("1.5h", "1.5h"),
        (".5s", ".5s"),
        (-1, -1),
        (0, 0),
        (2.5, 2.5),
    ],
)
def test_keep_alive_is_sent_as_the_server_takes_it(body: Body, given_: object, sent: object) -> None:
    """A number written as text becomes a number, and a duration stays one."""
    value = body(options={"keep_alive": given_})["keep_alive"]
    assert value == sent
    assert type(value) is type(sent)


@pytest.mark.parametrize(
    "value",
    ["", "forever", "5 m", "5x", "m", "1h30", True, [], {}, math.nan, math.inf, 10**12, "99999999h", "1e3"],
)
def test_a_keep_alive_that_is_no_time_is_refused_by_name(body: Body, value: object) -> None:
    """The server would answer 400, or count its nanoseconds into an overflow."""
    with pytest.raises(BadRequest) as caught:
        body(options={"keep_alive": value})
    assert caught.value.parameter == "keep_alive"


@given(st.text(max_size=12))
def test_keep_alive_either_normalises_or_refuses(text: str) -> None:
    """No text makes it fail in another way, and what it returns it would return again."""
    try:
        value = keep_alive(text)
    except BadRequest:
        return
    assert keep_alive(value) == value
