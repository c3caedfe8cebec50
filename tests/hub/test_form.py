"""A hub gives a provider's credential form as JSON Schema, for a page that asks for it."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from modelhub import ModelHub, ModelType
from modelhub.errors import ConfigurationError, UnknownProvider
from modelhub.provider import hookimpl
from modelhub.types.forms import Condition, CredentialSchema, FormField, ModelCredentialSchema
from modelhub.types.schema import ProviderSchema

pytestmark = pytest.mark.anyio


class Forms:
    """A provider that has nothing but forms."""

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Ask for a key, and for the size of a model of type llm."""
        return ProviderSchema(
            "forms",
            supported_model_types=[ModelType.LLM, ModelType.TTS],
            provider_credential_schema=CredentialSchema(
                [
                    FormField("api_key", "secret-input", {"en_US": "Key", "id_ID": "Kunci"}),
                    FormField("proxied", "switch", default="false"),
                    FormField("proxy", "url", show_on=[Condition("proxied", "true")]),
                ]
            ),
            model_credential_schema=ModelCredentialSchema(
                credential_form_schemas=[
                    FormField("context_size", "number", min=1, show_on=[Condition("__model_type", "llm")])
                ]
            ),
        )


async def test_a_validator_agrees_with_the_hub() -> None:
    """What the schema accepts, `validate` accepts, and the other way round."""
    async with ModelHub(providers=[Forms()]) as hub:
        validator = Draft202012Validator(await hub.form("forms"))
        cases: list[dict[str, Any]] = [
            {"api_key": "k"},
            {"api_key": "k", "proxied": False},
            {"api_key": "k", "proxied": True},
            {"api_key": "k", "proxied": True, "proxy": "http://proxy:8080"},
            {"api_key": "k", "proxied": True, "proxy": "proxy"},
            {"api_key": "k", "unknown": "x"},
            {},
        ]
        for values in cases:
            report = await hub.validate("forms", {"values": values})
            assert validator.is_valid(values) is ("form" in report.stages), values
            assert bool(report.problems) is not validator.is_valid(values)


async def test_the_form_of_a_model_has_the_providers_fields_and_its_own() -> None:
    """Those that are for its type; the type may be given by its wire name."""
    async with ModelHub(providers=[Forms()]) as hub:
        for kind in (ModelType.LLM, "llm"):
            validator = Draft202012Validator(await hub.form("forms", kind))  # type: ignore[arg-type]
            assert not validator.is_valid({"api_key": "k"})
            assert validator.is_valid({"api_key": "k", "context_size": 4096})
        assert Draft202012Validator(await hub.form("forms", ModelType.TTS)).is_valid({"api_key": "k"})


async def test_the_labels_come_in_the_locales_wanted() -> None:
    """All of them where none is named."""
    async with ModelHub(providers=[Forms()]) as hub:
        one: Any = await hub.form("forms", locale=["fr", "id"])
        every: Any = await hub.form("forms")
    assert one["x-modelhub"]["fields"][0]["label"] == "Kunci"
    assert every["x-modelhub"]["fields"][0]["label"] == {"en_US": "Key", "id_ID": "Kunci"}


async def test_problems_come_in_the_readers_language() -> None:
    """The report has them as values, with the field's label."""
    async with ModelHub(providers=[Forms()]) as hub:
        report = await hub.validate("forms", {"values": {}})
    (problem,) = report.problems
    assert (problem.label("id"), problem.text("id")) == ("Kunci", "wajib diisi")
    assert report.errors == {"api_key": "it is required"}


async def test_what_cannot_be_a_form() -> None:
    """No such provider, and no such type."""
    async with ModelHub(providers=[Forms()]) as hub:
        with pytest.raises(UnknownProvider):
            await hub.form("form")
        with pytest.raises(ConfigurationError, match="no model type"):
            await hub.form("forms", "chat")  # type: ignore[arg-type]
