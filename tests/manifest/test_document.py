"""A YAML file becomes plain values with their lines and their texts; no file does anything else."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelhub.manifest.document import MOST_BYTES, Document, DocumentError, Remark, parse_document, read_document

TEXT = """\
# a comment
provider: acme
version: 1.10
labels: {en_US: Acme, no: "Nei", 'id': null}
rules:
  - name: temperature
    max: 2

  -
    name: top_p
    options: [1, 1.50, on]
same: &same
  one: 1
again:
  <<: *same
  two: 0x10
alias: *same
"""


def parsed(text: str) -> Document:
    """Return what a text says."""
    return parse_document(text.encode(), "x.yaml")


def refusal(data: bytes) -> DocumentError:
    """Return what reading bytes raises."""
    with pytest.raises(DocumentError) as caught:
        parse_document(data, "x.yaml")
    assert "\n" not in caught.value.message
    assert caught.value.remedy
    return caught.value


def test_a_document_says_what_yaml_says() -> None:
    """Keys are texts as they were written: ``no`` is a language before it is a boolean."""
    assert parsed(TEXT).value == {
        "provider": "acme",
        "version": 1.1,
        "labels": {"en_US": "Acme", "no": "Nei", "id": None},
        "rules": [{"name": "temperature", "max": 2}, {"name": "top_p", "options": [1, 1.5, True]}],
        "same": {"one": 1},
        "again": {"one": 1, "two": 16},
        "alias": {"one": 1},
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ([], 2),
        (["provider"], 2),
        (["labels", "no"], 4),
        (["rules"], 5),
        (["rules", 0], 6),
        (["rules", 0, "max"], 7),
        (["rules", 1], 10),
        (["rules", 1, "options", 2], 11),
        (["again", "one"], 13),
        (["alias"], 17),
        (["alias", "one"], 13),
        (["rules", 0, "mim"], 6),
        (["rules", 7, "name"], 5),
        (["rules", "name"], 5),
        (["provider", 0], 2),
        (["nowhere", "at", "all"], 2),
    ],
)
def test_every_value_has_its_line(path: list[str | int], line: int) -> None:
    """What is not there has the line of what it would stand in."""
    assert parsed(TEXT).line(path) == line
    assert parsed(TEXT).place(path) == f"x.yaml:{line}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (["version"], "1.10"),
        (["labels", "no"], "Nei"),
        (["labels", "id"], "null"),
        (["rules", 1, "options", 1], "1.50"),
        (["rules", 1, "options", 2], "on"),
        (["again", "two"], "0x10"),
        (["rules"], None),
        (["nowhere", 1], None),
    ],
)
def test_every_scalar_has_its_text(path: list[str | int], text: str | None) -> None:
    """As it was written, whatever YAML makes of it."""
    assert parsed(TEXT).text(path) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("\ufeffa: 1", {"a": 1}),
        ("a: 2024-05-01", {"a": "2024-05-01"}),
        ("a: 2024-99-99", {"a": "2024-99-99"}),
        ("a: =", {"a": "="}),
        ("a: <<", {"a": "<<"}),
        ("'<<': 1", {"<<": 1}),
        ("a: !!str 1", {"a": "1"}),
        ("a: !!int '1'", {"a": 1}),
        ("a: !!float many", {"a": "many"}),
        ("a: !!bool perhaps", {"a": "perhaps"}),
        ("a: " + "9" * 5000, {"a": "9" * 5000}),
        ("a: !!map {b: !!seq [!!null '']}", {"a": {"b": [None]}}),
        ("a: ! 1", {"a": "1"}),
        ("a: {b: 1}\nc: {<<: [{d: 2}, {d: 3, e: 4}], e: 5}", {"a": {"b": 1}, "c": {"d": 2, "e": 5}}),
        ("1.10: a\ntrue: b\n2024-05-01: c\n~: d", {"1.10": "a", "true": "b", "2024-05-01": "c", "~": "d"}),
    ],
)
def test_values_are_plain_and_keys_are_texts(text: str, value: object) -> None:
    """Dates stay texts, and so does what its tag promises in vain."""
    assert parsed(text).value == value


def test_what_is_odd_is_remarked_and_read() -> None:
    """Of a key that stands twice the last counts, of several documents the first."""
    document = parsed("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n---\nd: 4\n")
    assert document.value == {"b": {"c": 2}, "a": 3}
    assert document.line(["a"]) == 5
    assert document.remarks == (
        Remark(4, "duplicate-key", ("b", "c"), "the key 'c' stands here a second time; what line 3 says is lost"),
        Remark(5, "duplicate-key", ("a",), "the key 'a' stands here a second time; what line 1 says is lost"),
        Remark(6, "several-documents", (), "a second document begins here; only the first is read"),
    )


def bomb(ways: int, levels: int) -> bytes:
    """Return a list that names a list so many times, that names a list so many times, and so on."""
    lines = [f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * ways)}]" for level in range(1, levels)]
    return "\n".join(["a0: &a0 x", *lines]).encode()


@pytest.mark.parametrize(
    ("data", "message", "line"),
    [
        (b"a: [b", "x.yaml:2: it is no YAML: ", 2),
        (b"a: 1\n\tb: 2", "x.yaml:2: it is no YAML: found a tab character", 2),
        (b"a: 1\nb: @", "x.yaml:2: it is no YAML: found character that cannot start any token", 2),
        (b"a: 1\nb: \xff", "x.yaml:2: it is no YAML: ", 2),
        (b"a: \x00", "x.yaml:1: it is no YAML: ", 1),
        (b"\xff\xfe\x00\x12\x00", "x.yaml:1: it is no YAML: ", 1),
        (b"a: !!python/object:os.system x", "x.yaml:1: the tag 'tag:yaml.org,2002:python/object:os.system' is not", 1),
        (b"a:\n  !!python/tuple [1]", "x.yaml:2: the tag 'tag:yaml.org,2002:python/tuple' is not allowed", 2),
        (b"a: !mine {b: 1}", "x.yaml:1: the tag '!mine' is not allowed", 1),
        (b"a: !!binary aGk=", "x.yaml:1: the tag 'tag:yaml.org,2002:binary' is not allowed", 1),
        (b"a: 1\n? [b]\n: c", "x.yaml:2: a key must be a text", 2),
        (b"a: &a b\n*a : c", "x.yaml:2: a key must be a text", 2),
        (b"{" * 1000, "x.yaml:1: a key must be a text", 1),
        (b"a: *b", "x.yaml:1: there is no anchor 'b' before this alias", 1),
        (b"a: 1\nb: &b [*b]", "x.yaml:2: the alias 'b' stands inside of what it repeats", 2),
        (b"a: 1\nb: {<<: 3}", "x.yaml:2: << takes a mapping or a list of mappings", 2),
        (b"[" * 1_000_000, "x.yaml:1: values are nested more than 50 deep", 1),
        (b"- " * 500_000, "x.yaml:1: values are nested more than 50 deep", 1),
        (bomb(1, 60), "x.yaml:51: values are nested more than 50 deep", 51),
        (bomb(9, 10), "x.yaml:7: it comes to more than 100000 values", 7),
        (b"a:\n" + b"- 1\n" * 100_001, "x.yaml:99999: it comes to more than 100000 values", 99_999),
        (b"a" * (MOST_BYTES + 1), "x.yaml is longer than 1024 KiB", None),
    ],
)
def test_a_document_that_cannot_be_read_says_where(data: bytes, message: str, line: int | None) -> None:
    """In one line; neither nesting nor repetition costs more than reading the file does."""
    error = refusal(data)
    assert error.message.startswith(message)
    assert error.line == line


def test_a_file_is_read_or_refused(tmp_path: Path) -> None:
    """A folder is no file; a file that is missing is for the caller to tell."""
    (tmp_path / "x.yaml").write_text("a: 1")
    assert read_document(tmp_path / "x.yaml", "x.yaml").value == {"a": 1}
    with pytest.raises(FileNotFoundError):
        read_document(tmp_path / "y.yaml", "y.yaml")
    (tmp_path / "z.yaml").mkdir()
    with pytest.raises(DocumentError, match=r"^z\.yaml cannot be read: Is a directory"):
        read_document(tmp_path / "z.yaml", "z.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(DocumentError, match=r"^big\.yaml is longer than"):
        read_document(tmp_path / "big.yaml", "big.yaml")


def test_a_document_shows_what_it_is() -> None:
    """Its name and its extent."""
    assert repr(parsed("a: [1, 2]")) == "<Document x.yaml: 4 values>"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=20,
)


@given(PLAIN, st.sampled_from(["flow", "block"]))
def test_what_was_written_is_read(value: object, style: str) -> None:
    """In any style of YAML: the values are those that were written."""
    written = yaml.safe_dump(value, default_flow_style=style == "flow")
    assert parse_document(written.encode(), "x.yaml").value == value


@given(st.binary(max_size=200) | st.text("[]{}:-?&*!<>|'\"ab1.\n\t #,%@", max_size=60).map(str.encode))
def test_no_bytes_do_anything_but_be_read_or_refused(data: bytes) -> None:
    """Whatever they are: a document, or the one error."""
    with suppress(DocumentError):
        assert parse_document(data, "x.yaml").line(["a", 0]) >= 1


def test_the_same_is_read_without_the_librarys_c_half() -> None:
    """Which not every machine has."""
    corpus = Path(__file__).parents[1] / "fixtures" / "dify"
    files = [file for file in sorted(corpus.rglob("*.yaml")) if file.is_file()]
    code = (
        "import sys, yaml\n"
        "if sys.argv[1] == 'python': del yaml.CSafeLoader\n"
        "from pathlib import Path\n"
        "from modelhub.manifest.document import DocumentError, parse_document\n"
        "def shown(data):\n"
        "    try: document = parse_document(data, 'x.yaml')\n"
        "    except DocumentError: return 'refused'\n"
        "    return document.value, document.remarks, [document.line([key]) for key in document.value or ()]\n"
        "for file in sys.argv[2:]: print(shown(Path(file).read_bytes()))\n"
        "odd = [b'a: \"\\\\UFFFFFFFF\"', b'\"\\\\ud800\": a', b'[' * 10**5, b'- ' * 10**5, b'{a: ' * 10**5]\n"
        "for text in odd: print(shown(text))\n"
    )
    halves = [
        subprocess.run([sys.executable, "-c", code, half, *files], capture_output=True, text=True, check=False)
        for half in ("c", "python")
    ]
    assert [half.stderr for half in halves] == ["", ""]
    assert halves[0].stdout == halves[1].stdout
    assert halves[0].stdout.splitlines()[-5:] == ["refused"] * 5
