"""The settings file is found, read and refused as users expect: encodings, sizes, odd paths, odd TOML."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelhub import ModelHub
from modelhub.configuration.reading import DEEPEST, LARGEST, Document, document_of
from modelhub.configuration.settings import read_settings
from modelhub.errors import ConfigurationError


def refused(config: Any) -> ConfigurationError:
    """Return what reading settings raises."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings(config, {})
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "first", ["\ufeff", "", "#:schema modelhub.schema.json\n", '"$schema" = "modelhub.schema.json"\n']
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_editors_put_into_a_file_is_no_matter(first: str, end: str, tmp_path: Path) -> None:
    """A byte order mark, a schema, Windows' line ends."""
    path = tmp_path / "m.toml"
    path.write_bytes(f"{first}[timeouts]\nidle = 3\n".replace("\n", end).encode())
    assert read_settings(path, {}).timeouts.idle == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[timeouts]\nidle = \n", ":2: it is no TOML: Invalid value"),
        (b"[timeouts]\n\nidle = 3 4\n", ":3: it is no TOML: Expected newline or end of document after a statement"),
        (b"[timeouts]\nidle = 'x", ":2: it is no TOML: "),
        (b"a = 1\na = 2", ":2: it is no TOML: Cannot overwrite a value"),
        (b"a = 1\nb = \xff\n", ":2: it is no TOML: it is not UTF-8"),
        ("a = 1\nb = 'é'".encode("utf-16"), ":1: it is no TOML: it is not UTF-8"),
        (b"a = " + b"9" * 5000, ": it is no TOML: Exceeds the limit"),
        (b"a = " + b"[" * 20000, ": it is no TOML: its lists and tables are too deep"),
        (b"a.b." * 3000 + b"c = 1", f": it is more than {DEEPEST} tables deep"),
        (b"a = " + b"[" * 100 + b"]" * 100, f": it is more than {DEEPEST} tables deep"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(content: bytes, message: str, tmp_path: Path) -> None:
    """And what is TOML that nothing here could be."""
    path = tmp_path / "m.toml"
    path.write_bytes(content)
    assert f"{path}{message}" in refused(path).message


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """It is another file, named by mistake."""
    path = tmp_path / "m.toml"
    path.write_bytes(b"#" * LARGEST)
    assert read_settings(path, {}).source == path
    path.write_bytes(b"#" * (10 << 20))
    assert refused(path).message == f"{path} has more than 1 MiB"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing, a folder, no path at all; each with what to do."""
    assert refused(tmp_path / "no.toml").message == f"{tmp_path / 'no.toml'} cannot be read: No such file or directory"
    assert refused(tmp_path).remedy == "name the file in it, such as modelhub.toml"
    assert "cannot be read" in refused("a\0b").message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    """With whose permissions to mend."""
    path = tmp_path / "m.toml"
    path.touch(mode=0o200)
    assert refused(path).remedy == "mend its permissions, or name another file"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (5, "config is a number"),
        (b"m.toml", "config is a bytes"),
        (["m.toml"], "config is a list"),
        ("", "config is an empty text"),
        (True, "config is true or false"),
    ],
)
def test_what_can_be_no_settings_is_refused(config: Any, message: str) -> None:
    """By the hub when it is used first, before anything is read; and by whatever else reads settings."""
    with pytest.raises(ConfigurationError) as caught:
        ModelHub(config).bind("acme/large")
    assert (caught.value.message, caught.value.remedy) == (message, "give a dict, the path of a file, or nothing")
    assert refused(config).message == message


@pytest.mark.anyio
async def test_a_hub_says_all_that_is_wrong_with_its_settings() -> None:
    """On entering."""
    with pytest.raises(ConfigurationError) as caught:
        async with ModelHub({"credentials": 3, "timeouts": {"idle": "x"}}):
            pass  # pragma: no cover  it is not entered
    assert str(caught.value).splitlines() == [
        "the settings have 2 problems:",
        "  the configuration: timeouts.idle: it must be a number",
        "  the configuration: credentials: it must be a table, not a number",
    ]


def test_a_dict_that_holds_itself_is_refused() -> None:
    """It has no end."""
    endless: dict[str, Any] = {}
    endless["a"] = endless["b"] = endless
    assert (
        refused({"credentials": {"acme": endless}}).message
        == f"the configuration: it is more than {DEEPEST} tables deep"
    )


def test_a_document_shows_nothing_of_what_it_holds() -> None:
    """It has the whole file in it, secrets and all."""
    assert repr(Document({"a": "s3cr3t"}, Path("m.toml"), "s3cr3t")) == f"Document(source={Path('m.toml')!r})"


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=60) | st.text(alphabet="[]{}=\"'.,#ab1\n\\", max_size=60).map(str.encode))
def test_no_bytes_give_anything_but_settings_or_our_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the file holds."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    try:
        read_settings(path, {})
    except ConfigurationError as error:
        assert str(path) in error.message  # noqa: PT017  most contents are refused, and some are not
    else:
        assert document_of(path, {}).source == path
