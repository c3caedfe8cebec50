"""Whatever bytes and values a plugin's files hold, `lint` says what is wrong and never fails."""

import copy
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelhub.errors import PluginError
from modelhub.manifest.contract import IncompatibleContract
from modelhub.manifest.lint import CODES, Defect, lint
from modelhub.manifest.reading import read_manifest, read_models

CLEAN = Path(__file__).parents[1] / "fixtures" / "lint" / "clean"
PROVIDERS = [CLEAN / "project/src/acme_clean/provider.yaml", CLEAN / "dify/provider/acme.yaml"]
MODELS = [CLEAN / "project/src/acme_clean/models/llm/acme-1.yaml", CLEAN / "dify/models/llm/acme-large.yaml"]
SEVERAL = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**50, max_value=10**60),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["1M", "0.000", "../x", "/x", "**", "[", "llm", "en_US", "1e999999999", "0x" + "f" * 6000, "x\0y", "~"]
    ),
    st.dates(),
)
ODD = [None, True, -1, 0, "", "1M", [], {}, [{}], [None], {"x": 1}, ["x"], float("nan"), float("inf"), 10**30, "snan"]
VALUES = st.sampled_from(ODD) | st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.booleans(), inner, max_size=3),
    max_leaves=6,
)


def checked(files: dict[str, bytes]) -> list[Defect]:
    """Check a plugin of these files, and each of them alone."""
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        found = [*lint(folder), *(each for name in files for each in lint(Path(folder, name)))]
    for each in found:
        assert each.severity == CODES[each.code]
        assert each.line >= 1
        assert each.message
        assert each.remedy
    return found


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside of one."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [place for key, each in value.items() for place in places(each, (*path, key))]
    if isinstance(value, list):
        found += [place for number, each in enumerate(value) for place in places(each, (*path, number))]
    return found


def changed(document: Any, path: tuple[Any, ...], value: object) -> Any:
    """Return a document with another value at a place."""
    document = inner = copy.deepcopy(document)
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


@SEVERAL
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_checked(manifest: bytes, model: bytes, toml: bytes) -> None:
    """Bytes that mean nothing are told as defects."""
    checked({"provider.yaml": manifest, "models/llm/x.yaml": model, "pyproject.toml": toml})


@SEVERAL
@given(st.text(max_size=120), st.text(max_size=120))
def test_any_text_is_checked(manifest: str, model: str) -> None:
    """So are texts, which are YAML more often."""
    data = [each.encode("utf-8", "surrogatepass") for each in (manifest, model)]
    checked({"provider.yaml": b"provider: x\n" + data[0], "models/tts/x.yaml": b"model: x\n" + data[1]})


@pytest.mark.parametrize("source", PROVIDERS, ids=lambda path: path.parent.name)
@SEVERAL
@given(st.data())
def test_any_value_anywhere_in_a_manifest_is_checked(source: Path, data: st.DataObject) -> None:
    """Another value in place of one that was right, at any depth."""
    document = yaml.safe_load(source.read_text("utf-8"))
    for _ in range(data.draw(st.integers(1, 3))):
        document = changed(document, data.draw(st.sampled_from(places(document))), data.draw(VALUES))
    text = yaml.safe_dump(document, allow_unicode=True).encode()
    checked({"provider.yaml": text, "models/llm/acme-1.yaml": b"model: acme-1\n"})
    checked({"provider/acme.yaml": text})


@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
@SEVERAL
@given(st.data())
def test_any_value_anywhere_in_a_model_is_checked(source: Path, data: st.DataObject) -> None:
    """So in a model's file, its prices included."""
    document = yaml.safe_load(source.read_text("utf-8"))
    for _ in range(data.draw(st.integers(1, 3))):
        document = changed(document, data.draw(st.sampled_from(places(document))), data.draw(VALUES))
    text = yaml.safe_dump(document, allow_unicode=True).encode()
    checked({"provider.yaml": b"provider: x\n", "models/llm/x.yaml": text})


@pytest.mark.parametrize("source", [*PROVIDERS, *MODELS], ids=lambda path: path.parent.name + path.name)
@SEVERAL
@given(st.data())
def test_whatever_the_reader_complains_of_lint_tells(source: Path, data: st.DataObject) -> None:
    """Each notice of a plugin that is loaded stands, with its line, among the defects."""
    document = yaml.safe_load(source.read_text("utf-8"))
    document = changed(document, data.draw(st.sampled_from(places(document))), data.draw(VALUES))
    text = yaml.safe_dump(document, allow_unicode=True)
    files = {"provider.yaml": text, "models/llm/acme-1.yaml": "model: acme-1\n"}
    if source in MODELS:
        files = {"provider.yaml": "provider: x\n", "models/llm/x.yaml": text}
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, name).write_text(content, "utf-8")
        told = {(Path(each.file).relative_to(folder).as_posix(), each.line) for each in lint(folder)}
        for notice in notices(Path(folder)):
            place = re.match(r"([^:]+):([0-9]+): ", notice)
            assert place is not None, notice
            assert (place[1], int(place[2])) in told, notice


def notices(folder: Path) -> list[str]:
    """Return what the reader complains of, where it complains of lines; a contract is refused as a whole."""
    try:
        manifest = read_manifest(folder)
    except IncompatibleContract:
        return []
    except PluginError as error:
        return [each for each in error.message.split("; ") if each.startswith("provider.yaml:")]
    return [*manifest.notices, *read_models(manifest)[1]]


@SEVERAL
@given(st.text(alphabet="abc.:_ \n=()'\"\\@*", max_size=60), st.text(max_size=30))
def test_any_code_and_any_entry_point_are_checked(code: str, target: str) -> None:
    """Whatever the module says, and whatever the entry point names."""
    line = "".join(character for character in target if character.isprintable() and character not in "'\\")
    toml = f"[project.entry-points.'modelhub.providers']\nx = 'acme{line}'\ny = 'acme:Provider'\n"
    source = f"from modelhub.provider import ModelProvider\nclass Provider(ModelProvider):\n    x = 1\n{code}"
    files = {"pyproject.toml": toml, "acme/__init__.py": source, "acme/provider.yaml": "provider: x\n"}
    checked({name: text.encode("utf-8", "surrogatepass") for name, text in files.items()})


@pytest.mark.parametrize("source", [*PROVIDERS, *MODELS], ids=lambda path: path.name)
@SEVERAL
@given(st.data())
def test_a_file_cut_off_anywhere_is_checked(source: Path, data: st.DataObject) -> None:
    """So is what is left when a download breaks off, and what a slip of the hand makes of a line."""
    content = source.read_bytes()
    at = data.draw(st.integers(0, len(content)))
    checked({"provider.yaml": content[:at], "models/llm/x.yaml": content[at:]})
    checked({"provider.yaml": content[:at] + data.draw(st.binary(max_size=3)) + content[at:]})
