"""An unknown name is answered with the names that may have been meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.names import did_you_mean, looks_like_a_secret, nearest


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("olama", ["ollama", "acme"], ["ollama"]),
        ("OLLAMA", ["ollama"], ["ollama"]),
        ("ollama", ["Ollama"], ["Ollama"]),
        ("gpt4", ["gpt-4", "gpt-4o", "llama3"], ["gpt-4", "gpt-4o"]),
        ("num_ctxx", ["num_predict", "num_ctx", "num_batch"], ["num_ctx"]),
        ("ollama_lokal", ["ollama_local", "my_ollama"], ["ollama_local"]),
        ("", ["a"], []),
        ("x", [], []),
    ],
)
def test_the_nearest_names_come_first(name: str, names: list[str], expected: list[str]) -> None:
    """Case does not matter, and what is far away, or much farther than the nearest, is left out."""
    assert nearest(name, names) == expected


def test_no_more_names_than_wanted() -> None:
    """Three unless said otherwise."""
    names = [f"model-{number}" for number in range(9)]
    assert len(nearest("model", names)) == 3
    assert len(nearest("model", names, most=1)) == 1


def test_the_remedy_names_the_near_or_lists_what_there_is() -> None:
    """A line is enough: ten names at most."""
    assert did_you_mean("olama", ["ollama", "acme"], what="providers") == "did you mean 'ollama'?"
    assert did_you_mean("xyz", ["b", "a"], what="providers") == "providers: a, b"
    assert did_you_mean("xyz", [], what="providers") == "there are no providers"
    many = did_you_mean("?", [f"m{number:02}" for number in range(11)], what="models")
    assert many.endswith("m09, …")


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=12))
def test_every_suggestion_exists(name: str, names: list[str]) -> None:
    """A remedy never invents a name."""
    assert set(nearest(name, names)) <= set(names)


@pytest.mark.parametrize(
    "name",
    [
        *("sk-abc", "pk_live", "ghp_x", "AIzaSy", "eyJhbGciOi", "my secret", "", "1abc", "a" * 41, "a" * 21),
        *("AKIAIOSFODNN7EXAMPLE", "550e8400-e29b-41d4-a716-446655440000", "hunter2Hunter2", "key/with/slashes"),
    ],
)
def test_what_may_be_a_secret(name: str) -> None:
    """No name at all, a vendor's prefix, or long and mixed: it is not repeated."""
    assert looks_like_a_secret(name)


@pytest.mark.parametrize(
    "name", ["api_key", "apikey", "openai_api_base", "X-Request-Id", "max_tokens_to_sample", "Region", "gpt4", "v2.1"]
)
def test_what_is_a_name(name: str) -> None:
    """Names of fields and headers are repeated, so that their spelling can be seen."""
    assert not looks_like_a_secret(name)
