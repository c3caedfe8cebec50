"""`embed`: texts from arguments and pipes, vectors as lines and documents."""

import json
from typing import Any


def test_vectors_are_lines_of_json(cli: Any) -> None:
    """One for each text, in order."""
    ran = cli("embed", "acme/any", "one", "aeiou")
    assert [json.loads(line) for line in ran.out.splitlines()] == [[3, 0, 1, 0, 1, 0], [5, 1, 1, 1, 1, 1]]
    assert (ran.code, ran.err) == (0, "")


def test_each_line_of_a_pipe_is_a_text(cli: Any) -> None:
    """Empty lines are none."""
    ran = cli("embed", "acme/any", "--usage", stdin=b"one\n\ntwo\n")
    assert len(ran.out.splitlines()) == 2
    assert ran.err.startswith("acme/any · 2 tokens in")


def test_vectors_in_json_are_one_document(cli: Any) -> None:
    """With usage and attempts."""
    document = cli("embed", "acme/any", "one", "--json", "--input-type", "query").document
    assert document["vectors"] == [[3, 0, 1, 0, 1, 0]]
    assert document["usage"]["input_tokens"] == 1


def test_nothing_to_embed_is_a_usage_error(cli: Any) -> None:
    """An empty pipe holds no text."""
    ran = cli("embed", "acme/any", stdin=b"")
    assert ran.code == 2
    assert "error: TEXT: there is nothing to embed" in ran.err


def test_options_that_cannot_be_read_are_named(cli: Any) -> None:
    """A length that is no number, a kind that is none."""
    assert "--dimensions: 'x' is no whole number" in cli("embed", "acme/any", "one", "--dimensions", "x").err
    assert "--input-type: 'x' is none of document, query" in cli("embed", "acme/any", "one", "--input-type", "x").err
