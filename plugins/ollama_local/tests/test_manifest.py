"""The manifest: read as it is, complete in both languages, and at one with the code."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelhub import ModelHub, ModelType
from modelhub.types.parameters import ChatParameters
from modelhub_ollama_local.embedding import EMBED_OPTIONS
from modelhub_ollama_local.operations import OPERATIONS
from modelhub_ollama_local.provider import OllamaLocalProvider
from modelhub_ollama_local.settings import FIELDS, OPTIONS

SPEC = find_spec("modelhub_ollama_local")
assert SPEC is not None
assert SPEC.origin is not None
PACKAGE = Path(SPEC.origin).parent
MANIFEST = yaml.safe_load((PACKAGE / "provider.yaml").read_text(encoding="utf-8"))
RULES = {kind: defaults["parameter_rules"] for kind, defaults in MANIFEST["defaults"].items()}
MODELS = sorted(PACKAGE.glob("models/*/*.yaml"))


def labelled(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return everything that is shown to people, with its place."""
    found: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        for key, held in value.items():
            place = f"{path}.{key}"
            if key in {"label", "help", "description", "placeholder", "title"} and not {"title", "url"} <= set(held):
                found.append((place, held))
            else:
                found += labelled(held, place)
    elif isinstance(value, list):
        for number, held in enumerate(value):
            found += labelled(held, f"{path}[{number}]")
    return found


def test_everything_shown_is_said_in_english_and_indonesian() -> None:
    """Labels, helps, placeholders and descriptions, of fields, rules, operations and models."""
    shown = labelled(MANIFEST)
    assert len(shown) > 45
    for path in MODELS:
        shown += labelled(yaml.safe_load(path.read_text(encoding="utf-8")), path.stem)
    lacking = [place for place, texts in shown if not {"en_US", "id_ID"} <= texts.keys() or not all(texts.values())]
    assert lacking == []


@pytest.mark.anyio
async def test_every_rule_field_and_operation_has_its_label() -> None:
    """Nothing is shown by its bare name; many rules have theirs from a template."""
    fields = MANIFEST["provider_credential_schema"]["credential_form_schemas"]
    assert all({"label", "help"} <= each.keys() for each in [*fields, *MANIFEST["operations"].values()])
    async with ModelHub() as hub:
        schema = next(info.schema for info in await hub.providers() if info.id == "ollama_local")
    assert schema is not None
    rules = [rule for kind in schema.defaults.values() for rule in kind.parameter_rules or ()]
    assert len(rules) == len(RULES["llm"]) + len(RULES["text-embedding"])
    for rule in rules:
        for texts in (rule.label, rule.help):
            assert isinstance(texts, dict)
            assert texts.keys() >= {"en_US", "id_ID"}


def test_the_rules_are_exactly_the_options_that_the_code_sends() -> None:
    """Neither can be extended without the other."""
    assert {rule["name"] for rule in RULES["llm"]} == OPTIONS | FIELDS
    assert {rule["name"] for rule in RULES["text-embedding"]} == EMBED_OPTIONS


def test_neutral_parameters_are_those_that_ollama_has() -> None:
    """All of the neutral ones but two."""
    neutral = {rule["use_template"] for rule in RULES["llm"] if "use_template" in rule}
    assert neutral == ChatParameters.__annotations__.keys() - {"parallel_tool_calls", "user"}


def test_the_operations_are_those_of_the_code() -> None:
    """By their names."""
    assert MANIFEST["operations"].keys() == OPERATIONS.keys()


def test_the_model_types_are_those_of_the_code() -> None:
    """What is announced is served."""
    assert [ModelType(kind) for kind in MANIFEST["supported_model_types"]] == list(OllamaLocalProvider().models)


def test_a_server_is_given_two_calls_at_once_and_asked_for_its_version() -> None:
    """It says nothing of how many it answers at once; its version needs no model and no key."""
    assert MANIFEST["limits"] == {"concurrency": 2}
    assert MANIFEST["probe"] == "/api/version"


def test_every_icon_exists() -> None:
    """In the folder where Dify looks for it."""
    for key in ("icon_small", "icon_large"):
        for name in MANIFEST[key].values():
            assert (PACKAGE / "_assets" / name).read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.anyio
async def test_the_hub_reads_it_without_a_notice_and_without_the_code() -> None:
    """No key is unknown, the entry point's name is the id, and the models are those of the folder."""
    async with ModelHub() as hub:
        infos = {info.id: info for info in await hub.providers()}
    info = infos["ollama_local"]
    assert (info.notices, info.reason, info.distribution) == ((), None, "modelhub-ollama-local")
    assert info.schema is not None
    assert info.schema.contract == OllamaLocalProvider.contract == 1
    assert [field.variable for field in info.schema.form if field.secret] == ["api_key", "headers"]
    assert [path.stem for path in MODELS] == ["llama3", "all-minilm", "nomic-embed-text"]


def test_llama3_promises_only_what_it_can() -> None:
    """A text model whose template has no tools: no vision, no tool calls, no agent's thoughts."""
    llama3 = yaml.safe_load(MODELS[0].read_text(encoding="utf-8"))
    assert llama3["features"] == ["structured-output"]
    assert llama3["model_properties"] == {"mode": "chat", "context_size": 8192, "trained_context_size": 8192}
