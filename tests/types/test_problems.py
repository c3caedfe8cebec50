"""A problem says in the reader's language what is wrong, by a code that programs can rely on."""

import pickle
from string import Formatter

import pytest

from modelhub.types.problems import SENTENCES, FieldProblem


@pytest.mark.parametrize("code", SENTENCES)
def test_every_kind_is_said_in_english_and_indonesian(code: str) -> None:
    """Both sentences name the same things."""
    named = {
        locale: {name for _, name, _, _ in Formatter().parse(sentence) if name}
        for locale, sentence in SENTENCES[code].items()
    }
    assert named.keys() == {"en", "id"}
    assert named["en"] == named["id"]
    assert named["en"] <= {"limit", "names", "found", "why"}


def test_the_sentence_and_the_label_come_in_the_locale() -> None:
    """The message is the English one; other locales get the nearest of the two."""
    problem = FieldProblem("size", "too_large", {"limit": "9"}, {"en_US": "Size", "id_ID": "Ukuran"})
    assert problem.message == problem.text("en-GB") == problem.text(["fr"]) == "it must be 9 or less"
    assert problem.text("id_ID") == problem.text(["fr", "id"]) == "harus 9 atau kurang"
    assert problem.label() == "Size"
    assert problem.label("id") == "Ukuran"
    assert FieldProblem("size", "required").label("id") == "size"


def test_names_are_written_as_each_language_does() -> None:
    """Nearest names are quoted and joined by the language's word; long lists are cut."""
    near = FieldProblem("kye", "unknown_near", {"names": ["key", "keys"]})
    assert near.text("en") == "did you mean 'key' or 'keys'?"
    assert near.text("id") == "apakah maksud Anda 'key' atau 'keys'?"
    many = FieldProblem("x", "not_option", {"names": [str(number) for number in range(12)]})
    assert many.text("en") == "it must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"
    found = FieldProblem("x", "not_text", {"found": {"en": "a list", "id": "daftar"}})
    assert found.text("id") == "harus berupa teks, bukan daftar"


def test_a_problem_travels_between_processes() -> None:
    """It is a plain value."""
    problem = FieldProblem("x", "too_long", {"limit": 3})
    assert pickle.loads(pickle.dumps(problem)) == problem
