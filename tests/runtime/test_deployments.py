"""What a name stands for: a model, one of its credentials, a named deployment, or a route through several."""

from typing import Any

import pytest

from modelhub import AssistantMessage, ChatResult, FinishReason, ModelHub, ModelType, TextPart
from modelhub.errors import ConfigurationError, ModelHubError, Overloaded, UnknownProvider
from modelhub.provider import LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.parameters import ParameterRule
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ProviderSchema, TypeDefaults

pytestmark = pytest.mark.anyio


class TellLLM(LargeLanguageModel):
    """Tells what it was called as, or fails if its model says so."""

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Answer with model, region and parameters."""
        if request.name.startswith("busy"):
            raise Overloaded("busy")
        sent = {**request.parameters, **request.options}
        text = f"{request.name} in {context.credential.text('region')} with {sorted(sent.items())}"
        return ChatResult(
            message=AssistantMessage((TextPart(text),)), finish_reason=FinishReason.STOP, output=None, usage=None
        )


class Tell(ModelProvider):
    """A provider with several credentials."""

    llm = TellLLM

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        rules = (ParameterRule("temperature"), ParameterRule("num_ctx", type="int"))
        return ProviderSchema(
            "tell",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            default_model="usual",
            provider_credential_schema=CredentialSchema((FormField("region", role="option", default="home"),)),
            defaults={"llm": TypeDefaults(parameter_rules=rules)},
        )


IN_ORDER = {"pick": "priority"}
CREDENTIALS: dict[str, Any] = {
    "tell": [{"id": "east", "values": {"region": "e"}}, {"id": "west", "values": {"region": "w"}}]
}


async def told(config: dict[str, Any], target: str | list[str], **options: Any) -> tuple[str, list[str]]:
    """Return the answer, and what was tried on the way to it."""
    async with ModelHub({"credentials": CREDENTIALS, "routing": IN_ORDER, **config}, providers=[Tell]) as hub:
        reply = await hub.chat(target, "Hi", **options)
    return reply.text, [attempt.deployment for attempt in reply.attempts]


async def test_a_credential_is_named_after_the_model() -> None:
    """Without a name any of them serves; a name that is no credential's belongs to the model."""
    assert await told({}, "tell/m") == ("m in e with []", ["tell/m#east"])
    assert await told({}, "tell/m#west") == ("m in w with []", ["tell/m#west"])
    assert (await told({}, "tell/m#nord"))[0] == "m#nord in e with []"


async def test_a_deployment_has_a_name_and_what_it_is_called_with() -> None:
    """Model, credential, parameters of its own; those of the call stand over them."""
    config = {
        "deployments": {
            "fast": {
                "provider": "tell",
                "model": "m",
                "credential": "west",
                "parameters": {"temperature": 0.5},
                "vendor": {"tell": {"num_ctx": 8}, "other": {"x": 1}},
            }
        }
    }
    assert (await told(config, "fast"))[0] == "m in w with [('num_ctx', 8), ('temperature', 0.5)]"
    text, _ = await told(config, "fast", temperature=0.1, vendor={"tell": {"num_ctx": 9}})
    assert text == "m in w with [('num_ctx', 9), ('temperature', 0.1)]"


async def test_a_deployment_must_not_name_a_credential_that_is_not_there() -> None:
    """The error names those that are."""
    config = {"deployments": {"fast": {"target": "tell/m", "credential": "wes"}}}
    with pytest.raises(ConfigurationError, match="no credential 'wes'") as caught:
        await told(config, "fast")
    assert "'west'" in str(caught.value.remedy)


async def test_a_route_is_tried_group_by_group() -> None:
    """Deployments, models and other routes by name; the attempts tell the way."""
    config = {
        "deployments": {"first": {"target": "tell/busy", "credential": "east"}},
        "routes": {
            "inner": {"targets": ["tell/busy-too#west", "tell/good#west"]},
            "outer": {"groups": [["first"], ["inner"]]},
        },
    }
    text, attempts = await told(config, "outer")
    assert text == "good in w with []"
    assert attempts == ["tell/busy#east", "tell/busy-too#west", "tell/good#west"]


@pytest.mark.parametrize("target", ["tell", "fast", "r", "groups", "through"])
async def test_a_provider_alone_is_called_with_its_default_model(target: str) -> None:
    """By a call, a deployment and a route alike."""
    config = {
        "deployments": {"fast": {"target": "tell"}},
        "routes": {
            "r": {"targets": ["nobody", "tell"]},
            "groups": {"groups": [["tell/busy#east"], ["tell"]]},
            "through": {"targets": ["r"]},
        },
    }
    assert (await told(config, target))[0] == "usual in e with []"


async def test_routes_stand_in_a_list_like_models() -> None:
    """And what cannot be used beside what can is passed over, and told."""
    config = {"routes": {"r": {"targets": ["nobody/m", "tell/busy#east"]}}}
    text, attempts = await told(config, ["r", "tell/good#east"])
    assert text == "good in e with []"
    assert attempts == ["nobody/m", "tell/busy#east", "tell/good#east"]


@pytest.mark.parametrize(
    ("target", "error"), [("nobody/m", UnknownProvider), ("fas", UnknownProvider), ([], ModelHubError)]
)
async def test_a_name_that_stands_for_nothing_is_told(target: str | list[str], error: type[ModelHubError]) -> None:
    """As what it most probably was meant to be."""
    with pytest.raises(error):
        await told({"deployments": {"fast": {"target": "tell/m"}}}, target)


async def test_a_model_with_a_sign_in_its_name_is_called_as_that_model() -> None:
    """With its own credentials, not those of the model whose name stands before the sign."""
    config = {
        "models": {
            "tell/m": {"credentials": {"region": "of m"}},
            "tell/m#nord": {"credentials": {"region": "of m#nord"}},
        }
    }
    assert (await told(config, "tell/m#nord"))[0] == "m#nord in of m#nord with []"
    assert (await told(config, "tell/m"))[0] == "m in of m with []"
    assert (await told(config, "tell/m#other"))[0] == "m#other in e with []"


async def test_what_a_call_gives_stands_over_the_credential_that_it_names() -> None:
    """And a sign in the name of a model stays in it where the call brings credentials."""
    assert (await told({}, "tell/m#west", credentials={}))[0] == "m in w with []"
    assert (await told({}, "tell/m#nord", credentials={"region": "mine"}))[0] == "m#nord in mine with []"


async def test_what_a_call_gives_is_for_the_provider_that_a_name_leads_to() -> None:
    """A route or a named deployment is called with it, not with the application's own instead."""
    config = {
        "deployments": {"fast": {"target": "tell/m", "credential": "west"}},
        "routes": {"best": {"groups": [["fast"], ["tell/n"]]}, "outer": {"targets": ["best"]}},
    }
    for name in ("fast", "best", "outer"):
        assert (await told(config, name, credentials={"region": "mine"}))[0] == "m in mine with []"
    assert (await told(config, ["best", "tell/x"], credentials={"region": "mine"}))[0] == "m in mine with []"


async def test_turns_are_taken_also_where_a_route_is_looked_up_for_each_call() -> None:
    """As where one of its targets cannot be used, or a call brings its credentials."""
    group = ["tell/m#east", "tell/m#west", "nobody/m"]
    config = {"routes": {"all": {"groups": [group], "pick": "round_robin"}}, "credentials": CREDENTIALS}
    async with ModelHub({**config, "routing": {"pick": "round_robin"}}, providers=[Tell]) as hub:
        for target, given in (("all", None), ("tell/m", CREDENTIALS["tell"])):
            replies = [await hub.chat(target, "Hi", credentials=given) for _ in range(6)]
            assert (
                sorted(reply.attempts[-1].deployment for reply in replies) == ["tell/m#east"] * 3 + ["tell/m#west"] * 3
            )
