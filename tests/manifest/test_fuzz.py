"""No manifest and no model file does anything but be read or be refused: whatever bytes, whatever values, anywhere."""

import copy
import datetime as dt
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelhub.errors import PluginError
from modelhub.manifest.reading import Manifest, read_manifest, read_models
from modelhub.manifest.shapes import schema_from
from modelhub.rules.pricing import cost_of
from modelhub.types.schema import ModelSchema, ProviderSchema
from modelhub.types.usage import Usage

CORPUS = Path(__file__).parents[1] / "fixtures" / "dify"
PROVIDERS = [CORPUS / "full/provider/kelana.yaml", CORPUS / "ours/kelana/provider.yaml", CORPUS / "loose/provider.yaml"]
MODELS = [
    CORPUS / "full/models/llm/kelana-large.yaml",
    CORPUS / "ours/kelana/models/llm/next.yaml",
    CORPUS / "loose/models/llm/numbers.yaml",
    CORPUS / "full/models/tts/kelana-speak.yaml",
]
ENDLESS = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

WORDS = st.sampled_from(
    [
        *(
            "",
            " ",
            "true",
            "no",
            "1.10",
            "1e999",
            "nan",
            ".inf",
            "0x10",
            "-1",
            "9" * 5000,
            "1M",
            "llm",
            "text2img",
            "../x",
        ),
        *("/", "\u0000", "\u2028", "\ud7ff", "{{", "temperature", "secret-input", "{en_US: x}", "2026-02-30", "🜚"),
        "a" * 3000,
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 10**400, -(10**30)])
    | st.floats()
    | st.dates()
    | st.datetimes()
    | WORDS
    | st.text(max_size=10)
)
SYNTAX = st.lists(
    st.sampled_from(
        [b"[", b"]", b"{", b"}", b": ", b"- ", b"\n", b"  ", b"&a ", b"*a", b"<<: ", b"!!", b"|", b"'", b"? ", b"#"]
    ),
    max_size=5,
).map(b"".join)
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inside, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a value, its own too."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inside in items:
        yield from places(inside, (*path, step))


def changed(value: Any, path: tuple[Any, ...], put: Any) -> Any:
    """Return a copy of a value with another one at a path."""
    if not path:
        return put
    new = copy.deepcopy(value)
    within = new
    for step in path[:-1]:
        within = within[step]
    within[path[-1]] = put
    return new


def mutants(paths: list[Path]) -> st.SearchStrategy[Any]:
    """Return documents of the corpus with any value at any place."""
    documents = [yaml.safe_load(path.read_bytes()) for path in paths]
    everywhere = [(document, place) for document in documents for place in places(document)]
    return st.tuples(st.sampled_from(everywhere), VALUES).map(lambda drawn: changed(*drawn[0], drawn[1]))


def attempt(folder: Path) -> tuple[Manifest | None, PluginError | None]:
    """Return the manifest of a folder, or why there is none."""
    try:
        return read_manifest(folder), None
    except PluginError as error:
        return None, error


def listed(value: Any) -> Any:
    """Return a value whose tuples are lists, as what is read has them."""
    if isinstance(value, dict):
        return {key: listed(inside) for key, inside in value.items()}
    return [listed(inside) for inside in value] if isinstance(value, list | tuple) else value


def read(folder: Path, manifest: bytes, model: bytes = b"") -> None:
    """Read a manifest with a model, which must give a result or an error of ours; use what came."""
    (folder / "models" / "llm").mkdir(parents=True, exist_ok=True)
    (folder / "provider.yaml").write_bytes(manifest)
    (folder / "models" / "llm" / "m.yaml").write_bytes(model)
    found, refusal = attempt(folder)
    if found is None:
        assert refusal is not None
        assert refusal.remedy
        assert "\n" not in refusal.message
        return
    models, notices = read_models(found)
    assert all(text and "\n" not in text for text in (*found.notices, *notices))
    asdict(found.schema)
    json.dumps([found.schema.extra, found.schema.models, found.schema.providers])
    assert all(field.variable == str(field.variable) for field in found.schema.form)
    for schema in models.values():
        json.dumps([schema.model_properties, [rule.default for rule in schema.parameter_rules or ()]])
        cost_of(
            Usage(input_tokens=10**6, output_tokens=10**6),
            schema.pricing,
            at=dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC),
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every example writes its files into."""
    return tmp_path_factory.mktemp("fuzz")


@ENDLESS
@given(manifest=st.binary(max_size=300), model=st.binary(max_size=300))
@example(b"provider: a", b"\xef\xbb\xbf")
@example(b"provider: &a [*a]", b"model: *a")
@example(b"\xff\xfea\x00", b"model: \xed\xa0\x80")
def test_any_bytes_are_read_or_refused(folder: Path, manifest: bytes, model: bytes) -> None:
    """As a manifest, and as a model of one that is right."""
    read(folder, manifest)
    read(folder, b"provider: fuzz\n", model)


@ENDLESS
@given(data=st.data(), file=st.sampled_from([*PROVIDERS, *MODELS]), put=st.binary(max_size=4) | SYNTAX)
def test_a_slip_of_the_pen_is_read_or_refused(folder: Path, data: st.DataObject, file: Path, put: bytes) -> None:
    """A few bytes of a file that is right are others."""
    text = file.read_bytes()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 20, len(text))))
    slipped = text[:start] + put + text[end:]
    read(folder, slipped)
    read(folder, b"provider: fuzz\n", slipped)


@ENDLESS
@given(document=mutants(PROVIDERS))
def test_any_value_anywhere_in_a_manifest_is_read_or_refused(folder: Path, document: Any) -> None:
    """A result with notices, or an error of ours in one line."""
    read(folder, yaml.safe_dump(document, sort_keys=False).encode())


@ENDLESS
@given(document=mutants(MODELS))
def test_any_value_anywhere_in_a_model_costs_that_model_at_most(folder: Path, document: Any) -> None:
    """The provider is read, and what of the model remains can be used."""
    read(folder, b"provider: fuzz\n", yaml.safe_dump(document, sort_keys=False).encode())


@ENDLESS
@given(document=mutants(MODELS))
def test_only_its_name_and_its_type_can_cost_a_model(folder: Path, document: Any) -> None:
    """Any other value is left out at most."""
    if not isinstance(document, dict) or not isinstance(document.get("model"), str) or not document["model"]:
        return
    document["model_type"] = "llm"
    text = yaml.safe_dump(document, sort_keys=False).encode()
    (folder / "models" / "llm").mkdir(parents=True, exist_ok=True)
    (folder / "provider.yaml").write_bytes(b"provider: fuzz\n")
    (folder / "models" / "llm" / "m.yaml").write_bytes(text)
    models, notices = read_models(read_manifest(folder))
    assert [name for _, name in models] == [document["model"]], notices


@ENDLESS
@given(document=mutants(PROVIDERS + MODELS))
def test_any_mapping_is_read_strictly_or_refused(document: Any) -> None:
    """What an application says itself must be right; what comes back is right once more, and nothing is unknown."""
    for cls in (ProviderSchema, ModelSchema):
        with suppress(PluginError):
            schema, _ = schema_from(cls, document if isinstance(document, dict) else {"model": document}, "it")
            again, notices = schema_from(cls, asdict(schema), "it")
            assert listed(asdict(again)) == listed(asdict(schema))
            assert notices == ()
