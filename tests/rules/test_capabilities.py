"""Whether a model can do what is asked is decided before the wire; what is left out is said."""

from typing import Any

import pytest

from modelhub.errors import UnsupportedFeature
from modelhub.rules.capabilities import fit_to_model
from modelhub.rules.parameters import Policy
from modelhub.types.messages import AssistantMessage, MediaPart, Message, TextPart, ToolMessage, UserMessage
from modelhub.types.parameters import ChatParameters
from modelhub.types.requests import ChatRequest, ResponseFormat
from modelhub.types.schema import ModelSchema
from modelhub.types.tools import Tool

POLICIES: tuple[Policy, ...] = ("strict", "warn")


def model(*features: str) -> ModelSchema:
    """Return a model that can do this and nothing else."""
    return ModelSchema("small", features=features)


def asked(*messages: Message, **others: Any) -> ChatRequest[None]:
    """Return a request."""
    return ChatRequest(messages=messages or (UserMessage("Hi"),), **others)


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
    """Media cannot be left out without changing the question: refused under either policy, naming the message."""
    request = asked(UserMessage("Hi"), message(MediaPart(mime, b"x")))
    with pytest.raises(UnsupportedFeature) as caught:
        fit_to_model(request, model("tool-call"), policy=policy)
    assert caught.value.parameter == "messages[1]"
    assert "small" in caught.value.message
    assert fit_to_model(request, model(feature), policy=policy) == (request, ())


@pytest.mark.parametrize("policy", POLICIES)
def test_tools_need_a_model_that_calls_them(policy: Policy) -> None:
    """A model that cannot call tools would answer as if there were none."""
    request = asked(tools=(Tool("f"),))
    with pytest.raises(UnsupportedFeature) as caught:
        fit_to_model(request, model(), policy=policy)
    assert caught.value.parameter == "tools"
    assert fit_to_model(request, model("tool-call"), policy=policy) == (request, ())


def test_tools_that_must_not_be_called_need_nothing() -> None:
    """`tool_choice="none"` asks for no more than any model does."""
    request = asked(tools=(Tool("f"),), tool_choice="none")
    assert fit_to_model(request, model(), policy="strict") == (request, ())


@pytest.mark.parametrize(
    ("others", "feature", "parameter"),
    [
        ({"parameters": ChatParameters(reasoning="high")}, "reasoning", "reasoning"),
        ({"parameters": ChatParameters(reasoning=True)}, "agent-thought", "reasoning"),
        ({"response_format": ResponseFormat()}, "structured-output", "response_format"),
    ],
)
def test_what_can_be_left_out_is_refused_or_warned_of(others: dict[str, Any], feature: str, parameter: str) -> None:
    """Strict refuses it; warn leaves it out and says so; a model that can is asked."""
    request = asked(**others)
    with pytest.raises(UnsupportedFeature) as caught:
        fit_to_model(request, model(), policy="strict")
    assert caught.value.parameter == parameter
    left, warnings = fit_to_model(request, model(), policy="warn")
    assert left == asked()
    assert [warning.parameter for warning in warnings] == [parameter]
    assert fit_to_model(request, model(feature), policy="strict") == (request, ())


def test_everything_left_out_is_said() -> None:
    """Two things left out are two warnings, and what was given besides is still sent."""
    parameters = ChatParameters(reasoning="low", temperature=0.5)
    left, warnings = fit_to_model(
        asked(parameters=parameters, response_format=ResponseFormat()), model(), policy="warn"
    )
    assert left == asked(parameters=ChatParameters(temperature=0.5))
    assert {warning.parameter for warning in warnings} == {"reasoning", "response_format"}


@pytest.mark.parametrize("reasoning", [False, "none"])
def test_not_reasoning_is_what_a_model_that_cannot_does_anyway(reasoning: Any) -> None:
    """It is left out without an error and without a warning; a model that can reason is told."""
    request = asked(parameters=ChatParameters(reasoning=reasoning))
    assert fit_to_model(request, model(), policy="strict") == (asked(), ())
    assert fit_to_model(request, model("reasoning"), policy="strict") == (request, ())


def test_a_model_of_which_nothing_is_known_is_given_the_chance() -> None:
    """Only known features refuse anything."""
    request = asked(
        UserMessage((MediaPart("image/png", b"x"),)),
        tools=(Tool("f"),),
        response_format=ResponseFormat(),
        parameters=ChatParameters(reasoning="high"),
    )
    assert fit_to_model(request, ModelSchema("unknown"), policy="strict") == (request, ())
