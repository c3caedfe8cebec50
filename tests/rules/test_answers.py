"""What vendors answer besides chat is checked: as many as asked, in order, and numbers that are numbers."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelhub.errors import MalformedResponse
from modelhub.rules.answers import checked_ranking, checked_vectors, joined_vectors
from modelhub.types.records import Warning
from modelhub.types.requests import EmbedRequest, RerankRequest
from modelhub.types.results import EmbedResult, RankedDocument, RerankResult
from modelhub.types.usage import Usage

DOCUMENTS = ("nol", "satu", "dua", "tiga")


@pytest.mark.parametrize(
    "vectors",
    [
        [],
        [[1.0, 2.0]],
        [[1.0], [2.0], [3.0]],
        [[1.0, 2.0], [1.0]],
        [[], []],
        [[1.0], [math.nan]],
        [[math.inf], [1.0]],
        [[math.inf, -math.inf], [1.0, 1.0]],
        [[None], [1.0]],
        [["1"], [1.0]],
        [[1.0], None],
        [[1.0], 7],
        None,
    ],
)
def test_vectors_that_do_not_fit_are_malformed(vectors: Any) -> None:
    """Too few, too many, ragged, empty, or with something in them that is no finite number."""
    with pytest.raises(MalformedResponse):
        checked_vectors(EmbedResult(vectors=vectors), EmbedRequest(texts=["a", "b"]))


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1))
@example([[1.7e308, 1.7e308, 0.0]])
def test_vectors_that_fit_are_not_touched(vectors: list[list[float]]) -> None:
    """Every finite number is one, however large its sum with others would be."""
    result = EmbedResult(vectors=vectors)
    assert checked_vectors(result, EmbedRequest(texts=["x"] * len(vectors))) is result


def test_batches_are_joined_in_order() -> None:
    """Usages are added, warnings said once, and there is no single document of the vendor's any more."""
    warning = Warning("odd", "x")
    batches = [
        EmbedResult(vectors=[[1.0], [2.0]], usage=Usage(3, 0), warnings=(warning,), raw={}),
        EmbedResult(vectors=[[3.0]], usage=Usage(4, 0), warnings=(warning,), raw={}),
    ]
    joined = joined_vectors(batches)
    assert joined.vectors == [[1.0], [2.0], [3.0]]
    assert joined.usage == Usage(7, 0, requests=2)
    assert joined.warnings == (warning,)
    assert joined.raw is None


def test_usage_that_one_batch_lacks_is_unknown_for_all() -> None:
    """A sum with a hole in it is no sum."""
    batches = [EmbedResult(vectors=[[1.0]], usage=Usage(3, 0)), EmbedResult(vectors=[[2.0]])]
    assert joined_vectors(batches).usage is None
    assert joined_vectors(batches[:1]) is batches[0]


def test_batches_of_different_lengths_are_malformed() -> None:
    """Vectors of two models cannot be compared, and must not be mixed."""
    with pytest.raises(MalformedResponse, match=r"\[1, 2\]"):
        joined_vectors([EmbedResult(vectors=[[1.0]]), EmbedResult(vectors=[[1.0, 2.0]])])


def ranked(*pairs: tuple[Any, Any], top_n: int | None = None) -> list[tuple[int, float, str]]:
    """Return what comes of a ranking of the documents."""
    result = RerankResult(documents=tuple(RankedDocument(index, score) for index, score in pairs))
    checked = checked_ranking(result, RerankRequest(query="?", documents=DOCUMENTS, top_n=top_n))
    return [(each.index, each.score, each.document) for each in checked.documents]


def test_a_ranking_is_sorted_and_holds_the_callers_documents() -> None:
    """Best first, ties in the order given, the vendor's scores as they are."""
    assert ranked((1, 0.1), (3, 0.9), (2, 0.1), (0, -4.5)) == [
        (3, 0.9, "tiga"),
        (1, 0.1, "satu"),
        (2, 0.1, "dua"),
        (0, -4.5, "nol"),
    ]


@pytest.mark.parametrize(("top_n", "count"), [(None, 3), (0, 0), (1, 1), (3, 3), (99, 3)])
def test_a_ranking_is_cut_here(top_n: int | None, count: int) -> None:
    """Whether the vendor cuts or not."""
    assert len(ranked((0, 1.0), (1, 2.0), (2, 3.0), top_n=top_n)) == count


@pytest.mark.parametrize(
    "pairs",
    [
        [(4, 1.0)],
        [(-1, 1.0)],
        [(0, 1.0), (0, 2.0)],
        [(0, math.nan)],
        [(0, math.inf)],
        [(0, None)],
        [(0, "0.5")],
        [("0", 0.5)],
        [(None, 0.5)],
        [(0.0, 0.5)],
        [(True, 0.5)],
    ],
)
def test_a_ranking_that_does_not_fit_is_malformed(pairs: list[tuple[Any, Any]]) -> None:
    """An index that does not exist, comes twice or is none; a score that is no number."""
    with pytest.raises(MalformedResponse):
        ranked(*pairs)
