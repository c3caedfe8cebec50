"""A continuation that repeats what it continues is joined without the repetition, and nothing else is taken out."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelhub.rules.overlap import Overlap

SENTENCE = "The quick brown fox jumps over the lazy dog"
LETTERS = st.text("ab c\n.é", max_size=60)


def through(delivered: str, pieces: list[str]) -> str:
    """Return what is left of a continuation that comes in pieces."""
    overlap = Overlap(delivered)
    return "".join([*map(overlap.feed, pieces), overlap.flush()])


def by_definition(delivered: str, text: str) -> str:
    """Return what is left of a continuation, read from the definition and slowly."""
    whole = delivered.rstrip()
    space = delivered[len(whole) :]
    rest = text.lstrip(" ")
    for size in range(min(len(whole), len(rest)), 11, -1):
        repeated = rest[:size]
        if whole.endswith(repeated) and len(set(repeated)) >= 4:
            text = rest[size:]
            break
    while space and text and space[0] == text[0]:
        space, text = space[1:], text[1:]
    return text


def cut(text: str, places: list[int]) -> list[str]:
    """Cut a text; places beyond its end cut nothing."""
    at = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(at)]


@st.composite
def repeating(draw: st.DrawFn) -> tuple[str, str]:
    """A text and a continuation that may begin with its end."""
    delivered = draw(LETTERS)
    again = draw(st.integers(0, len(delivered)))
    blanks = draw(st.sampled_from(["", " ", "\n"]))
    return delivered, blanks + delivered[len(delivered) - again :] + draw(LETTERS)


@given(repeating(), st.lists(st.integers(0, 100), max_size=8))
@example((SENTENCE, SENTENCE), [1, 2])
@example((SENTENCE + " ", "lazy dog again"), [3])
def test_any_cut_gives_what_the_definition_says(texts: tuple[str, str], places: list[int]) -> None:
    """Whole, in some pieces and in single characters: the same is left."""
    delivered, text = texts
    expected = by_definition(delivered, text)
    assert through(delivered, cut(text, places)) == expected
    assert through(delivered, list(text)) == expected
    assert through(delivered, [text]) == expected


@given(LETTERS, st.text("xyz ", max_size=40), st.lists(st.integers(0, 100), max_size=4))
def test_what_is_no_repetition_is_left_as_it_is(delivered: str, text: str, places: list[int]) -> None:
    """Of a continuation with other letters nothing is taken but blanks that the text ended with."""
    left = through(delivered, cut(text, places))
    assert text.endswith(left)
    taken = text[: len(text) - len(left)]
    assert taken.strip() == ""
    assert delivered[len(delivered.rstrip()) :].startswith(taken)


@pytest.mark.parametrize(
    ("delivered", "text", "left"),
    [
        (SENTENCE, ", and runs.", ", and runs."),
        (SENTENCE, "over the lazy dog, and runs.", ", and runs."),
        (SENTENCE, " over the lazy dog, and runs.", ", and runs."),
        (SENTENCE, f"{SENTENCE}, and runs.", ", and runs."),
        (f"{SENTENCE} ", f"{SENTENCE} and runs.", "and runs."),
        (f"{SENTENCE} ", "and runs.", "and runs."),
        (f"{SENTENCE} ", " and runs.", "and runs."),
        (f"{SENTENCE}\n", "\n\nIt runs.", "\nIt runs."),
        (f"{SENTENCE}\n\n", "\nIt runs.", "It runs."),
        (SENTENCE, "lazy dog, and runs.", "lazy dog, and runs."),
        (SENTENCE, "over the lazy cat", "over the lazy cat"),
        (SENTENCE, "over the lazy d", "over the lazy d"),
        ("=" * 30, "=" * 30, "=" * 30),
        ("", "Hello", "Hello"),
        ("Hi", "Hi there", "Hi there"),
        (SENTENCE, "", ""),
        (SENTENCE, "   ", "   "),
        (SENTENCE, SENTENCE, ""),
    ],
)
def test_what_counts_as_a_repetition(delivered: str, text: str, left: str) -> None:
    """The end of the text, long and varied enough, with the blanks before it; and white space that ended it."""
    assert through(delivered, [text]) == left
    assert through(delivered, list(text)) == left


def test_nothing_is_held_back_once_it_is_new() -> None:
    """The first character that is no repetition lets all through."""
    overlap = Overlap(SENTENCE)
    assert overlap.feed("over the ") == ""
    assert repr(overlap) == "<Overlap with 43 characters: holds 9, dropped 0>"
    assert overlap.feed("cat") == "over the cat"
    assert overlap.feed(" sat") == " sat"
    assert overlap.flush() == ""
    assert repr(overlap) == "<Overlap with 43 characters: through, dropped 0>"


def test_how_much_was_dropped_is_known() -> None:
    """Blanks before it and white space behind it are counted."""
    overlap = Overlap(f"{SENTENCE} ")
    assert "".join(map(overlap.feed, [" over the", " lazy dog", " ", "and"])) == "and"
    assert overlap.dropped == len(" over the lazy dog ")


def test_a_long_answer_that_is_said_again_is_dropped_whole() -> None:
    """Longer than the window in which the end is looked for: the beginning is looked for too."""
    delivered = " ".join(map(str, range(20_000)))
    pieces = [delivered[at : at + 4] for at in range(0, len(delivered), 4)]
    assert through(delivered, [*pieces, " and so on"]) == " and so on"
