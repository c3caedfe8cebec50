"""Credentials as they are configured: flat values or named ones, for a provider or for one of its models.

What the values are made of (references, callables) is resolved elsewhere; no message repeats one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from modelhub.configuration.limits import LIMIT_KEYS, BudgetTable, limit_table
from modelhub.configuration.problems import Complaint, Keys, shown_key
from modelhub.errors import ConfigurationError
from modelhub.rules.names import did_you_mean
from modelhub.types.json import JSON

__all__ = ["CredentialSource", "configured_credentials", "credential_sources"]

_AS_TABLES = "give the form's values as a table, or a list of tables"
_KEYS = ("id", "values", "weight", *LIMIT_KEYS)
_DATES = (dt.date, dt.time)


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """A credential as it is configured: the values that are given, before the form is filled in.

    Attributes:
        values: By the form's variables.
        id: A name without secrets.
        below: What ``values`` stand over: those of the bound model that a call gives its own for.
        weight: How much it counts beside the others of its provider.
        rpm: Requests a minute at most.
        tpm: Tokens a minute at most, of questions and answers together.
        concurrency: Calls at once at most.
        budget: What its calls may cost.
    """

    values: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    id: str = "default"
    below: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    weight: float = 1.0
    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
    budget: BudgetTable | None = None

    @property
    def layers(self) -> tuple[Mapping[str, JSON], Mapping[str, JSON]]:
        """The values, those that count more last."""
        return self.below, self.values


def credential_sources(given: object, provider: str) -> list[CredentialSource]:
    """Read credentials that an application gives: flat values, or a list of flat values or of ``{id, values}``.

    Raises:
        ConfigurationError: It is neither; the message does not repeat the values.
    """
    sources, complaints = configured_credentials(given, provider)
    if complaints:
        given = None  # so that no frame which holds it is shown with the error
        raise ConfigurationError(complaints[0].message, remedy=complaints[0].remedy)
    return sources


def configured_credentials(given: object, provider: str) -> tuple[list[CredentialSource], list[Complaint]]:
    """Read credentials, and say all that is wrong with them.

    Args:
        given: Flat values, or a list of flat values or of ``{id, values, weight}`` with limits.
        provider: Whose they are, for the messages.

    Returns:
        Those that can be used, and the complaints, each with its path below ``given``.
    """
    rows = [given] if isinstance(given, Mapping) else given
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes) or not rows:
        what = f"a {type(given).__name__}" if rows else "empty"
        return [], [Complaint((), f"the credentials of {provider!r} are {what}", _AS_TABLES)]
    sources: dict[str, CredentialSource] = {}
    complaints: list[Complaint] = []
    for number, row in enumerate(rows):
        below: Keys = () if isinstance(given, Mapping) else (number,)
        name = "default" if len(rows) == 1 else str(number)
        found = list(_row_complaints(row, f"credential {number} of {provider!r}"))
        complaints += [Complaint((*below, *each.keys), each.message, each.remedy) for each in found]
        if found or not isinstance(row, Mapping):
            continue
        source = _source(row, name)
        if source.id in sources:
            message = f"two credentials of {provider!r} have the id {source.id!r}"
            complaints.append(Complaint(below, message, "give each its own id"))
        sources.setdefault(source.id, source)
    return list(sources.values()), complaints


def _source(row: Mapping[str, object], name: str) -> CredentialSource:
    values = row.get("values")
    if not isinstance(values, Mapping):
        return CredentialSource(dict(row), name)  # type: ignore[arg-type]  # the form says what its values may be
    id, weight = row.get("id", name), row.get("weight", 1.0)
    limits, _ = limit_table(row)
    return CredentialSource(
        dict(values),
        str(id),
        weight=float(weight),  # type: ignore[arg-type]  # looked at before
        rpm=limits.rpm,
        tpm=limits.tpm,
        concurrency=limits.concurrency,
        budget=limits.budget,
    )


def _row_complaints(row: object, which: str) -> Iterator[Complaint]:
    if not isinstance(row, Mapping):
        yield Complaint((), f"{which} is a {type(row).__name__}, not a table", _AS_TABLES)
        return
    values = row.get("values")
    if isinstance(values, Mapping):
        yield from _named_complaints(row, which)
        below: Keys = ("values",)
    else:
        values, below = row, ()
    for key, value in values.items():
        if not isinstance(key, str):
            yield Complaint(below, f"{which} has a {type(key).__name__} as a key", "name the form's fields by texts")
        elif isinstance(value, _DATES):
            yield Complaint((*below, key), f"{shown_key(key)} of {which} is a date", "write it in quotes")


def _named_complaints(row: Mapping[object, object], which: str) -> Iterator[Complaint]:
    for key in row:
        if key not in _KEYS:
            remedy = did_you_mean(str(key), _KEYS, what="keys")
            yield Complaint((str(key),), f"{which} has an unknown key {shown_key(key)}", remedy)
    id, weight = row.get("id", "default"), row.get("weight", 1.0)
    if not isinstance(id, str):
        message = f"the id of {which} is a {type(id).__name__}, not a text"
        yield Complaint(("id",), message, "write it in quotes")
    elif not id.strip() or "#" in id:
        yield Complaint(("id",), f"the id of {which} is empty or has a #", "give it a name of its own without #")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
        yield Complaint(("weight",), f"the weight of {which} is no number above 0", "1 is the usual share")
    for each in limit_table(row)[1]:
        yield Complaint(each.keys, f"of {which}, {each.message}", each.remedy)
