"""A pattern in a schema is kept, or refused; it is never passed over."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelhub.errors import UnsupportedFeature
from modelhub_local_model.engine import Engine
from modelhub_local_model.gguf import read_header
from modelhub_local_model.patterns import with_engine_patterns
from modelhub_local_model.settings import EngineSettings


def asking(schema: object) -> dict[str, object]:
    """Return a request whose answer is held to a schema."""
    messages = [{"role": "user", "content": "Hello, who are you?"}]
    held = {"type": "json_schema", "json_schema": {"schema": schema}}
    return {"messages": messages, "max_tokens": 40, "seed": 2, "response_format": held}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^abc$", "^abc$"),
        ("^$", "^$"),
        ("abc", "^.*(abc).*$"),
        ("^abc", "^(abc).*$"),
        ("abc$", "^.*(abc)$"),
        (r"^abc\$", r"^(abc\$).*$"),
        (r"^abc\\$", r"^abc\\$"),
        ("^a|b", "^(a|b).*$"),
        (r"^\d{3}$", "^[0-9]{3}$"),
        (r"^\w+@\w+$", "^[A-Za-z0-9_]+@[A-Za-z0-9_]+$"),
        (r"^[\w.-]+$", "^[A-Za-z0-9_.-]+$"),
        (r"^[^\s]+\S$", r"^[^ \t\r\n]+[^ \t\r\n]$"),
        (r"^\[\d\]$", r"^\[[0-9]\]$"),
        (r"^[\]\d]$", r"^[\]0-9]$"),
        (r"^(?:a\.b)\n$", r"^(?:a\.b)\n$"),
    ],
)
def test_writes_patterns_as_the_engine_takes_them(pattern: str, expected: str) -> None:
    """What can be translated is, and means the same."""
    changed = with_engine_patterns(asking({"type": "string", "pattern": pattern}))
    assert changed["response_format"]["json_schema"]["schema"]["pattern"] == expected
    assert with_engine_patterns(changed) == changed
    assert re.compile(expected)


@pytest.mark.parametrize("pattern", ["^(?=x)$", "(?i)x", r"^\bx$", r"^(a)\1$", r"^\p{L}$", r"^[\D]$", r"(?<n>x)"])
def test_refuses_what_cannot_be_kept(pattern: str) -> None:
    """What cannot be translated is refused, and named."""
    with pytest.raises(UnsupportedFeature, match=re.escape(repr(pattern))):
        with_engine_patterns(asking({"type": "string", "pattern": pattern}))


def test_tells_keywords_from_names_and_data() -> None:
    """Only the keyword is translated: not a property of that name, nor data that looks like a schema."""
    schema = {
        "type": "object",
        "properties": {"pattern": {"type": "string", "pattern": "a"}, "const": {"items": [{"pattern": "a"}]}},
        "const": {"pattern": "a"},
        "enum": [{"pattern": "a"}],
        "$defs": {"pattern": True},
    }
    changed = with_engine_patterns({"tools": [{"function": {"parameters": schema}}], "pattern": "a"})
    assert changed["pattern"] == "a"
    assert changed["tools"][0]["function"]["parameters"] == {
        **schema,
        "properties": {
            "pattern": {"type": "string", "pattern": "^.*(a).*$"},
            "const": {"items": [{"pattern": "^.*(a).*$"}]},
        },
    }


@pytest.fixture(scope="module")
def engine(default_model: Path) -> Iterator[Engine]:
    """Load the default model once for this module."""
    engine = Engine(read_header(default_model), EngineSettings(context_size=512, threads=1))
    yield engine
    engine.close()


@pytest.mark.parametrize("pattern", [r"^[A-Z]{2}\d{3}$", r"^\w{3}@\w{2}\.id$", "^(yes|no)$", r"^\d-\d"])
def test_the_engine_keeps_to_what_it_is_given(engine: Engine, pattern: str) -> None:
    """An answer matches the pattern as it was asked for."""
    request = asking(
        {"type": "object", "properties": {"it": {"type": "string", "pattern": pattern}}, "required": ["it"]}
    )
    pieces = [choice["delta"].get("content") for piece in engine.generate(request) for choice in piece["choices"]]
    answer = "".join(piece or "" for piece in pieces)
    written = re.search(r'"it"\s*:\s*"([^"]*)', answer)
    assert written is not None
    assert re.search(pattern, written[1]), answer
