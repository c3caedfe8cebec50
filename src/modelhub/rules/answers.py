"""Checks of what vendors answer besides chat.

As many vectors as texts, indexes that exist, numbers that are numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from modelhub.errors import MalformedResponse
from modelhub.types.requests import EmbedRequest, RerankRequest
from modelhub.types.results import EmbedResult, RankedDocument, RerankResult

__all__ = ["checked_ranking", "checked_vectors", "joined_vectors"]


def checked_vectors(result: EmbedResult, request: EmbedRequest) -> EmbedResult:
    """Check the vectors of one batch.

    Raises:
        MalformedResponse: Their number is wrong, they differ in length, or hold something that is no finite number.
    """
    vectors = result.vectors
    try:
        count, lengths = len(vectors), {len(vector) for vector in vectors}
    except TypeError as error:
        raise MalformedResponse("what came is no list of vectors", sent=True) from error
    if count != len(request.texts):
        raise MalformedResponse(f"{count} vectors came for {len(request.texts)} texts", sent=True)
    if len(lengths) > 1:
        raise MalformedResponse(f"the vectors differ in length: {sorted(lengths)}", sent=True)
    if 0 in lengths:
        raise MalformedResponse("the vectors are empty", sent=True)
    for number, vector in enumerate(vectors):
        if not _finite(vector):
            raise MalformedResponse(f"vector {number} holds something that is no finite number", sent=True)
    return result


def _finite(vector: Iterable[float]) -> bool:
    try:
        return math.isfinite(math.fsum(vector))
    except OverflowError:  # of the sum, which says nothing of the numbers
        return all(map(math.isfinite, vector))
    except (TypeError, ValueError):
        return False


def joined_vectors(batches: Sequence[EmbedResult]) -> EmbedResult:
    """Join the results of several batches, in order; usages are added.

    Raises:
        MalformedResponse: The batches have vectors of different lengths.
    """
    if len(batches) == 1:
        return batches[0]
    lengths = {batch.dimensions for batch in batches}
    if len(lengths) > 1:
        raise MalformedResponse(f"the batches have vectors of different lengths: {sorted(lengths)}", sent=True)
    usage = batches[0].usage
    for batch in batches[1:]:
        usage = usage.plus(batch.usage) if usage is not None and batch.usage is not None else None
    warnings = tuple(dict.fromkeys(warning for batch in batches for warning in batch.warnings))
    return replace(
        batches[0],
        vectors=[vector for batch in batches for vector in batch.vectors],
        usage=usage,
        warnings=warnings,
        raw=None,
    )


def checked_ranking(result: RerankResult, request: RerankRequest) -> RerankResult:
    """Check, sort and cut a ranking, and put the caller's own documents into it.

    Raises:
        MalformedResponse: An index does not exist or comes twice, or a score is no finite number.
    """
    seen: set[int] = set()
    for ranked in result.documents:
        score: object = ranked.score  # a plugin may pass on whatever its vendor sent
        if type(ranked.index) is not int or not 0 <= ranked.index < len(request.documents):
            raise MalformedResponse(
                f"document {ranked.index!r} was ranked; there are {len(request.documents)}", sent=True
            )
        if ranked.index in seen:
            raise MalformedResponse(f"document {ranked.index} was ranked twice", sent=True)
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise MalformedResponse(f"the score of document {ranked.index} is no finite number", sent=True)
        seen.add(ranked.index)
    best = sorted(result.documents, key=lambda ranked: (-ranked.score, ranked.index))[: request.top_n]
    documents = tuple(RankedDocument(ranked.index, ranked.score, request.documents[ranked.index]) for ranked in best)
    return replace(result, documents=documents)
