"""Model names: split, compared and found as Ollama does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import BadRequest
from modelhub_ollama_local.names import ModelName, find, nearest, parse

words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
hosts = st.one_of(words, st.builds("{}:{}".format, words, st.integers(1, 65535)))
names = st.builds(ModelName, words, words, words, hosts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("llama3", ModelName("llama3", "latest", "library", "registry.ollama.ai")),
        ("llama3:8b", ModelName("llama3", "8b")),
        ("me/mine", ModelName("mine", "latest", "me")),
        ("host:5000/ns/m", ModelName("m", "latest", "ns", "host:5000")),
        ("host:5000/ns/m:tag", ModelName("m", "tag", "ns", "host:5000")),
        ("hf.co/someone/Some-GGUF:Q4_K_M", ModelName("Some-GGUF", "Q4_K_M", "someone", "hf.co")),
        ("m:cloud", ModelName("m", "cloud")),
        ("gpt-oss:120b-cloud", ModelName("gpt-oss", "120b-cloud")),
        ("gpt-oss:120b:cloud", ModelName("gpt-oss", "120b-cloud")),
    ],
)
def test_a_name_is_split_at_its_slashes_and_the_last_colon_after_them(text: str, expected: ModelName) -> None:
    """The tag's colon is the last one after the last slash; what is left out has Ollama's default."""
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "a b/c//d", "a//b", "/a", "a/", "a:", ":b", "a/b/c/d", "a\nb", "a:b:c:d"])
def test_what_cannot_be_a_name_is_refused_before_the_wire(text: str) -> None:
    """Empty parts, blanks and too many parts are the caller's mistake, named as such."""
    with pytest.raises(BadRequest) as caught:
        parse(text)
    assert caught.value.parameter == "model"


@given(names)
def test_a_written_name_is_read_as_the_same_model(name: ModelName) -> None:
    """What str() writes means the same model, whichever parts it leaves out."""
    assert parse(str(name)).key == name.key


def test_a_name_is_written_without_what_goes_without_saying() -> None:
    """The registry's own host and namespace; the tag is always there."""
    assert [str(parse(name)) for name in ("llama3", "me/mine", "h:1/library/m:x")] == [
        "llama3:latest",
        "me/mine:latest",
        "h:1/library/m:x",
    ]


@given(names, st.randoms(use_true_random=False))
def test_letter_case_does_not_tell_names_apart(name: ModelName, chance: object) -> None:
    """A model is found under its name in any letter case."""
    shouted = "".join(chance.choice([letter.upper(), letter.lower()]) for letter in str(name))  # type: ignore[attr-defined]
    assert find(shouted, [str(name)]) == str(name)


@given(words, words)
def test_latest_is_the_tag_of_a_name_without_one(model: str, other: str) -> None:
    """`m` and `m:latest` are one model; another tag is another model."""
    assert find(model, [f"{model}:latest"]) == f"{model}:latest"
    assert (find(model, [f"{model}:{other}"]) is None) == (other.lower() != "latest")


@given(st.lists(names, max_size=5), names)
def test_a_name_that_is_not_there_is_not_found(listed: list[ModelName], wanted: ModelName) -> None:
    """Only a name that means the same model is found."""
    found = find(str(wanted), map(str, listed))
    assert (found is None) == (wanted.key not in {name.key for name in listed})


def test_the_models_of_a_list_are_found_by_what_people_write() -> None:
    """`llama3`, `LLAMA3`, a host with a port, a cloud tag and the suffix :local all find their model."""
    listed = ["llama3:latest", "host:5000/ns/m:latest", "m:cloud", "a name that none can have/"]
    assert find("llama3", listed) == "llama3:latest"
    assert find("LLAMA3", listed) == "llama3:latest"
    assert find("registry.ollama.ai/library/llama3", listed) == "llama3:latest"
    assert find("llama3:local", listed) == "llama3:latest"
    assert find("host:5000/ns/m", listed) == "host:5000/ns/m:latest"
    assert find("m:cloud", listed) == "m:cloud"
    assert find("llama", listed) is None


def test_nearest_names_begin_with_other_tags_of_the_same_model() -> None:
    """Whoever asks for llama3:70b most likely wants one of the llama3 that are there."""
    listed = ["mistral:7b", "llama3:8b", "llama2:70b"]
    assert nearest("llama3:70b", listed)[0] == "llama3:8b"
    assert nearest("qwen", ["x"]) == []
