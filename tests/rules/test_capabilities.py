"""Whether a model can do what is asked is decided before the wire; what is left out is said."""

from dataclasses import replace
from typing import Any

import pytest

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.rules.capabilities import fit_to_model
from modelhub.rules.parameters import Policy
from modelhub.types.messages import AssistantMessage, MediaPart, Message, TextPart, ToolMessage, UserMessage
from modelhub.types.parameters import ChatParameters, ParameterRule
from modelhub.types.records import Warning
from modelhub.types.requests import ChatRequest, ResponseFormat
from modelhub.types.schema import ModelSchema
from modelhub.types.tools import Tool

POLICIES: tuple[Policy, ...] = ("strict", "clamp", "drop")


def model(*features: str) -> ModelSchema:
    """Return a model that can do this and nothing else."""
    return ModelSchema("small", features=features)


def asked(*messages: Message, **others: Any) -> ChatRequest[None]:
    """Return a request."""
    return ChatRequest(messages=messages or (UserMessage("Hi"),), **others)


def fitted(
    request: ChatRequest[None], schema: ModelSchema, *, policy: Policy
) -> tuple[ChatRequest[None], tuple[Warning, ...]]:
    """Return what becomes of a request with a model, without the model that is written into it."""
    fitting, warnings = fit_to_model(request, schema, policy=policy)
    assert fitting.schema is schema
    return replace(fitting, schema=None), warnings


@pytest.mark.parametrize(
    ("mime", "feature"),
    [
        ("image/png", "vision"),
        ("image/*", "vision"),
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("application/pdf", "document"),
        ("text/plain", "document"),
    ],
)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "message",
    [
        lambda part: UserMessage((TextPart("look"), part)),
        lambda part: ToolMessage((part,), "1"),
        lambda part: AssistantMessage((part,)),
    ],
)
def test_media_need_a_model_that_takes_them(mime: str, feature: str, policy: Policy, message: Any) -> None:
    """Media cannot be left out without changing the question: refused under every policy, naming the message."""
    request = asked(UserMessage("Hi"), message(MediaPart(mime, b"x")))
    with pytest.raises(UnsupportedFeature) as caught:
        fitted(request, model("tool-call"), policy=policy)
    assert caught.value.parameter == "messages[1]"
    assert "small" in caught.value.message
    assert fitted(request, model(feature), policy=policy) == (request, ())


@pytest.mark.parametrize("policy", POLICIES)
def test_tools_need_a_model_that_calls_them(policy: Policy) -> None:
    """A model that cannot call tools would answer as if there were none."""
    request = asked(tools=(Tool("f"),))
    with pytest.raises(UnsupportedFeature) as caught:
        fitted(request, model(), policy=policy)
    assert caught.value.parameter == "tools"
    assert fitted(request, model("tool-call"), policy=policy) == (request, ())


@pytest.mark.parametrize("feature", ["multi-tool-call", "stream-tool-call"])
def test_a_model_that_calls_several_tools_or_streams_calls_calls_tools(feature: str) -> None:
    """Many catalogues write the greater feature alone."""
    request = asked(tools=(Tool("f"),))
    assert fitted(request, model("vision", feature), policy="strict") == (request, ())


def test_tools_that_must_not_be_called_need_nothing() -> None:
    """`tool_choice="none"` asks for no more than any model does."""
    request = asked(tools=(Tool("f"),), tool_choice="none")
    assert fitted(request, model(), policy="strict") == (request, ())


@pytest.mark.parametrize(
    ("others", "feature", "parameter"),
    [
        ({"parameters": ChatParameters(reasoning="high")}, "reasoning", "reasoning"),
        ({"parameters": ChatParameters(reasoning=True)}, "agent-thought", "reasoning"),
        ({"response_format": ResponseFormat()}, "structured-output", "response_format"),
    ],
)
def test_what_can_be_left_out_is_refused_or_warned_of(others: dict[str, Any], feature: str, parameter: str) -> None:
    """Strict refuses it; the others leave it out and say so; a model that can is asked."""
    request = asked(**others)
    with pytest.raises(UnsupportedFeature) as caught:
        fitted(request, model(), policy="strict")
    assert caught.value.parameter == parameter
    left, warnings = fitted(request, model(), policy="clamp")
    assert left == asked()
    assert [warning.parameter for warning in warnings] == [parameter]
    assert fitted(request, model(feature), policy="strict") == (request, ())


def test_everything_left_out_is_said() -> None:
    """Two things left out are two warnings, and what was given besides is still sent."""
    parameters = ChatParameters(reasoning="low", temperature=0.5)
    left, warnings = fitted(asked(parameters=parameters, response_format=ResponseFormat()), model(), policy="clamp")
    assert left == asked(parameters=ChatParameters(temperature=0.5))
    assert {warning.parameter for warning in warnings} == {"reasoning", "response_format"}


@pytest.mark.parametrize("reasoning", [False, "none"])
def test_not_reasoning_is_what_a_model_that_cannot_does_anyway(reasoning: Any) -> None:
    """It is left out without an error and without a warning; a model that can reason is told."""
    request = asked(parameters=ChatParameters(reasoning=reasoning))
    assert fitted(request, model(), policy="strict") == (asked(), ())
    assert fitted(request, model("reasoning"), policy="strict") == (request, ())


def test_a_model_of_which_nothing_is_known_is_given_the_chance() -> None:
    """Only known features refuse anything."""
    request = asked(
        UserMessage((MediaPart("image/png", b"x"),)),
        tools=(Tool("f"),),
        response_format=ResponseFormat(),
        parameters=ChatParameters(reasoning="high"),
    )
    assert fitted(request, ModelSchema("unknown"), policy="strict") == (request, ())


RULES = (
    ParameterRule("answer_format", use_template="response_format", options=("text", "json_object")),
    ParameterRule("shape", use_template="json_schema"),
)
SHAPE = ResponseFormat({"type": "object"})


@pytest.mark.parametrize("features", [None, ()])
def test_a_rule_for_a_response_format_is_a_response_format(features: Any) -> None:
    """A model that has the parameter can do it, whatever its list of features leaves out."""
    schema = ModelSchema("m", features=features, parameter_rules=RULES)
    assert fitted(asked(response_format=SHAPE), schema, policy="strict") == (asked(response_format=SHAPE), ())
    any_json = asked(response_format=ResponseFormat())
    assert fitted(any_json, schema, policy="strict") == (any_json, ())


@pytest.mark.parametrize("features", [None, ()])
def test_a_schema_may_become_any_json(features: Any) -> None:
    """Of a model that knows JSON and no schemas: strict refuses, clamp asks for JSON, drop for nothing."""
    schema = ModelSchema("m", features=features, parameter_rules=RULES[:1])
    request = asked(response_format=SHAPE)
    with pytest.raises(UnsupportedFeature) as caught:
        fitted(request, schema, policy="strict")
    assert caught.value.parameter == "response_format"
    left, (warning,) = fitted(request, schema, policy="clamp")
    assert left == asked(response_format=ResponseFormat())
    assert (warning.code, warning.given, warning.sent) == ("parameter_clamped", "json_schema", "json")
    left, (warning,) = fitted(request, schema, policy="drop")
    assert (left, warning.code) == (asked(), "parameter_unsupported")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    """Features, response format, neutral parameters and the vendor's, in one error."""
    request = asked(
        UserMessage((MediaPart("image/png", b"x"), MediaPart("audio/wav", b"x"))),
        tools=(Tool("f"),),
        response_format=SHAPE,
        parameters={"temperature": 5, "reasoning": "high", "seed": "x"},  # type: ignore[typeddict-item]
        options={"num_ctx": 1},
    )
    schema = ModelSchema("small", features=(), parameter_rules=[ParameterRule("temperature", max=1)])
    with pytest.raises(BadRequest) as caught:
        fitted(request, schema, policy="strict")
    named = [problem.parameter for problem in caught.value.problems]
    assert named == [
        *("tools", "messages[0]", "messages[0]", "response_format"),
        *("temperature", "reasoning", "seed", "num_ctx"),
    ]
    assert caught.value.parameter == "tools"
    assert type(caught.value) is BadRequest, "another model would refuse the seed too"
    for problem in caught.value.problems:
        assert problem.message in caught.value.message


def test_what_only_this_model_cannot_do_may_be_asked_of_another() -> None:
    """An error made of nothing but missing features is one of these."""
    request = asked(tools=(Tool("f"),), parameters={"top_k": 1})
    with pytest.raises(UnsupportedFeature) as caught:
        fitted(request, ModelSchema("small", features=(), parameter_rules=[]), policy="strict")
    assert [problem.parameter for problem in caught.value.problems] == ["tools", "top_k"]
