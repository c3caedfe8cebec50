"""The JSON Schemas for editors: those of the code, true of the shipped files, and of one mind with `lint`."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelhub.manifest.json_schema import FileKind, json_schema
from modelhub.manifest.lint import lint

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "docs" / "schemas"
CORPUS = REPOSITORY / "tests" / "fixtures" / "lint"
KINDS: tuple[FileKind, ...] = ("provider", "model")
SHAPE = {
    *("unknown-key", "missing-key", "wrong-type", "unknown-value", "unknown-model-type"),
    *("unknown-timeout", "unknown-limit", "probe"),
}
"""Defects that a schema can tell too."""


def kind_of(path: Path) -> FileKind:
    """Tell a provider's manifest from a model's file."""
    return "provider" if path.name == "provider.yaml" or path.parent.name == "provider" else "model"


def files(*folders: Path) -> list[Path]:
    """Return the manifests and model files below some folders."""
    found = [path for folder in folders for path in sorted(folder.rglob("*.yaml"))]
    return [path for path in found if path.name != "manifest.yaml" and not path.name.startswith("_")]


SHIPPED = files(*sorted((REPOSITORY / "plugins").glob("*/src")), REPOSITORY / "examples" / "own_provider" / "src")
IN_ORDER = [*SHIPPED, *files(CORPUS / "clean")]


def validator(kind: FileKind) -> jsonschema.Draft202012Validator:
    """Return what validates files of a kind, as an editor does."""
    return jsonschema.Draft202012Validator(dict(json_schema(kind)))


def as_json(path: Path) -> Any:
    """Return a file as an editor's YAML server reads it: by the rules of JSON, so dates are texts."""
    return yaml.load(path.read_text("utf-8"), Loader=WithoutDates)


class WithoutDates(yaml.SafeLoader):
    """Reads dates as texts."""


WithoutDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_by_its_own_standard(kind: FileKind) -> None:
    """Draft 2020-12, and every reference leads somewhere."""
    schema = json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(dict(schema))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_published_is_what_the_code_says(kind: FileKind) -> None:
    """The files of the documentation are generated; after a change they are generated anew."""
    published = json.loads((PUBLISHED / f"{kind}.schema.json").read_text("utf-8"))
    assert published == json_schema(kind), f"modelhub lint --schema {kind} > docs/schemas/{kind}.schema.json"


@pytest.mark.parametrize("path", IN_ORDER, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_files_in_order_are_valid(path: Path) -> None:
    """The shipped plugins' files, those of the examples, and Dify's loose spellings."""
    assert [error.message for error in validator(kind_of(path)).iter_errors(as_json(path))] == []


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("provider", {"provider": "x", "lable": "X"}),
        ("provider", {"label": "X"}),
        ("provider", {"provider": "x", "configurate_methods": ["fetch-from-remote"]}),
        ("provider", {"provider": "x", "supported_model_types": ["text2img"]}),
        ("provider", {"provider": "x", "timeouts": {"conect": 5}}),
        ("provider", {"provider": "x", "timeouts": {"connect": "soon"}}),
        ("provider", {"provider": "x", "limits": {"rmp": 5}}),
        ("provider", {"provider": "x", "limits": {"rpm": 0}}),
        ("provider", {"provider": "x", "limits": {"tpm": "many"}}),
        ("provider", {"provider": "x", "limits": {"concurrency": 1.5}}),
        ("provider", {"provider": "x", "limits": [1]}),
        ("provider", {"provider": "x", "probe": "api/version"}),
        ("provider", {"provider": "x", "probe": "//other.example/"}),
        ("provider", {"provider": "x", "probe": "/version?key=abc"}),
        ("provider", {"provider": "x", "models": {"llm": {"predefined": [1]}}}),
        ("provider", {"provider": "x", "models": {"chat": {}}}),
        ("provider", {"provider": "x", "contract": 99}),
        (
            "provider",
            {"provider": "x", "provider_credential_schema": {"credential_form_schemas": [{"type": "text-input"}]}},
        ),
        ("model", {"model": "x", "parameter_rules": [{"name": "t", "use_template": "temprature"}]}),
        ("model", {"model": "x", "parameter_rules": [{"name": "t", "type": "flaot"}]}),
        ("model", {"model": "x", "parameter_rules": [{"name": "t", "show_on": [{"variabel": "y"}]}]}),
        ("model", {"model": "x", "pricing": {"input": "dear"}}),
        ("model", {"model": "x", "pricing": {"input": "1", "unit": "1M"}}),
        ("model", {"model": "x", "pricing": {"input": "1", "source": "me"}}),
        ("model", {"model": "x", "features": "vision"}),
        ("model", {"model": "x", "label": {"en_US": ["X"]}}),
    ],
)
def test_a_slip_of_the_pen_is_underlined(kind: FileKind, document: dict[str, Any]) -> None:
    """Keys that nobody reads, words that are not known, values of another type."""
    assert not validator(kind).is_valid(document)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("provider", {"provider": "x", "contract": 1, "family": "true", "timeouts": {"connect": "5"}}),
        (
            "provider",
            {"provider": "x", "limits": {"rpm": "60", "tpm": 0.5, "concurrency": None}, "probe": "/api/version"},
        ),
        ("provider", {"provider": "x", "limits": None, "probe": None}),
        ("provider", {"provider": "x", "label": {"en_US": "X", "zh_Hans": None}, "help": None, "models": None}),
        ("provider", {"provider": "x", "models": {"text_embedding": {"predefined": "models/*.yaml"}}}),
        ("model", {"model": 4.5, "model_type": "text-generation", "features": None, "deprecated": "false"}),
        ("model", {"model": "x", "pricing": {"input": 0.15, "output": "0.60", "unit": "0.000001"}}),
        ("model", {"model": "x", "parameter_rules": [{"name": "t", "options": [1.1, 2], "min": "0", "default": True}]}),
    ],
)
def test_loose_spellings_are_not_underlined(kind: FileKind, document: dict[str, Any]) -> None:
    """Quoted numbers, unquoted texts, and keys without a value."""
    assert [error.message for error in validator(kind).iter_errors(document)] == []


def test_keys_are_explained() -> None:
    """What the docstrings say of a key, an editor shows; a key has a title in any case."""
    schema: Any = json_schema("model")
    assert schema["properties"]["model"]["description"] == "Its name as the provider knows it."
    rule = schema["$defs"]["ParameterRule"]["properties"]
    assert "`precision` counts decimals" in rule["max"]["description"]
    assert schema["$defs"]["Condition"]["properties"]["not"]["description"].startswith("This one does not hold")
    provider: Any = json_schema("provider")
    assert all("title" in each for each in provider["properties"].values())


def test_schemas_are_values_of_their_own() -> None:
    """Changing one that was given changes no other."""
    first: Any = json_schema("model")
    first["properties"].clear()
    first["$defs"].clear()
    assert json_schema("model")["properties"]


BROKEN = [path for path in files(CORPUS / "broken") if path.name not in {"third.yaml", "empty.yaml", "fourth.yaml"}]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.relative_to(CORPUS).as_posix())
def test_an_editor_underlines_nothing_that_lint_lets_pass(path: Path) -> None:
    """A file that no schema takes has a defect that lint tells."""
    if path.name != "fifth.yaml" and not validator(kind_of(path)).is_valid(as_json(path)):
        assert {each.severity for each in lint(path)} >= {"error"}


@settings(max_examples=60)
@given(
    st.sampled_from(["model", "lable", "features", "pricing", "deprecated", "model_properties", "parameter_rules"]),
    st.sampled_from([None, "x", "true", 3, 1.5, [], ["x"], {}, {"x": 1}, [{"name": "x"}], {"input": "1"}, True]),
)
def test_lint_and_schema_agree_on_shapes(tmp_path_factory: pytest.TempPathFactory, key: str, value: object) -> None:
    """What is wrong with the shape of a model's file, both tell or neither does."""
    document = {"model": "x", key: value}
    path = tmp_path_factory.mktemp("models") / "x.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    told = {each.code for each in lint(path)} & SHAPE
    assert bool(told) == (not validator("model").is_valid(document)), told
