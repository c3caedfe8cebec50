"""What an answer's headers say of the sender's rate limits. Owns their many names and forms; not what to do about it.

There is no standard yet, but names are built alike: anything, ``ratelimit``, and then, in either order, what is counted
and what is said of it: ``x-ratelimit-remaining-tokens``, ``…-ratelimit-input-tokens-reset``, ``ratelimit-reset``. Names
with any other word behind ``ratelimit`` count something else, by the day for example, and are left out; so is a limit
without what it counts, because nobody knows for how long it is.

Beside them there are the two fields of draft-ietf-httpapi-ratelimit-headers-10: ``RateLimit: "p";r=50;t=30`` and
``RateLimit-Policy: "p";q=100;w=60``, of which the first policy is read, if it is by the minute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import final

from modelhub.wire.retry_after import LONGEST_WAIT, header, number, unix_time

__all__ = ["RateFact", "RateFacts", "rate_facts"]

_MARK = "ratelimit"
_FIELDS = frozenset({"limit", "remaining", "reset"})
_KINDS = {
    frozenset[str](): "requests",
    frozenset({"requests"}): "requests",
    frozenset({"tokens"}): "tokens",
    frozenset({"input", "tokens"}): "input_tokens",
    frozenset({"output", "tokens"}): "output_tokens",
}
_MINUTE = "minute"
_LONGEST_NAME = 64
_LONGEST_VALUE = 64
_MOST = 1e12
"""More than any limit: what is greater is nonsense."""
_UNIX = 1e9
"""A reset of more seconds is a Unix time."""
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{0,12})?(?:ns|us|µs|ms|s|m|h|d))+", re.ASCII)
_PIECE = re.compile(r"([\d.]+)([a-zµ]+)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ITEM = re.compile(r'"[^"]{0,64}"((?:;[a-z]{1,8}=\w{1,12})+)', re.ASCII)


@final
@dataclass(frozen=True, slots=True)
class RateFact:
    """What is said of one count; ``None`` for what is not.

    Attributes:
        limit: How many a minute.
        remaining: How many are left until the reset.
        reset: Seconds until the count begins anew.
    """

    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None


@final
@dataclass(frozen=True, slots=True)
class RateFacts:
    """What is said of each count; ``None`` for those that nothing is said of.

    Attributes:
        requests: Requests, and what is not named.
        tokens: Tokens of questions and answers together.
        input_tokens: Tokens of questions.
        output_tokens: Tokens of answers.
    """

    requests: RateFact | None = None
    tokens: RateFact | None = None
    input_tokens: RateFact | None = None
    output_tokens: RateFact | None = None

    @property
    def all_tokens(self) -> RateFact | None:
        """What is said of questions and answers together, or follows for them from what is said of each.

        Where either are used up no call can be made. Else what is left of each is left of both together, at most.
        """
        asked, answered = self.input_tokens, self.output_tokens
        if self.tokens is not None or asked is None or answered is None:
            return self.tokens or _spent(asked) or _spent(answered)
        return _spent(asked) or _spent(answered) or _together(asked, answered)


def _spent(fact: RateFact | None) -> RateFact | None:
    return RateFact(None, fact.remaining, fact.reset) if fact is not None and fact.remaining == 0.0 else None


def _together(asked: RateFact, answered: RateFact) -> RateFact:
    def both(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one + other

    resets = [each.reset for each in (asked, answered) if each.reset is not None]
    limit, remaining = both(asked.limit, answered.limit), both(asked.remaining, answered.remaining)
    return RateFact(limit, remaining, min(resets, default=None))


def rate_facts(headers: Mapping[str, str], now: float | None = None) -> RateFacts | None:
    """Return what headers say of rate limits, or ``None`` where they say nothing usable.

    Never raises, whatever the headers hold. Figures that are negative, no numbers or beyond all reason are left out; of
    a count whose limit is 0 or less, as some servers send it who have none to tell, everything is.

    Args:
        headers: The answer's headers.
        now: Unix time in seconds, to measure a date against where the answer bears no ``Date`` of its own.
    """
    names = [name for name in headers if _MARK in name.lower()]
    if not names:
        return None
    found: dict[str, dict[str, float]] = {}
    void = set()
    for name in names:
        for kind, field, value in _read(name.lower(), headers, headers[name], now):
            if value is None:
                void.add(kind)
            else:
                fields = found.setdefault(kind, {})
                fields[field] = min(value, fields.get(field, value))
    facts = {kind: RateFact(**fields) for kind, fields in found.items() if kind not in void}
    return RateFacts(**facts) if facts else None


def _read(name: str, headers: Mapping[str, str], value: str, now: float | None) -> list[tuple[str, str, float | None]]:
    """Return what one header says: of what, what, and how much; a limit of ``None`` voids all about its kind."""
    rest = name.partition(_MARK)[2].strip("-")
    if rest in {"", "policy"}:
        return _structured(value)
    words = frozenset(rest.split("-")) - {_MINUTE} if len(name) <= _LONGEST_NAME else frozenset[str]()
    kind = _KINDS.get(words - _FIELDS)
    fields = words & _FIELDS
    if kind is None or len(fields) != 1 or len(value) > _LONGEST_VALUE:
        return []
    (field,) = fields
    if field == "reset":
        seconds = _reset(value.strip(), headers, now)
        return [] if seconds is None else [(kind, field, seconds)]
    return _figure(kind, field, value, named=words != fields)


def _figure(kind: str, field: str, value: str, *, named: bool) -> list[tuple[str, str, float | None]]:
    """Read a count: of ``100, 100;w=60``, the first number."""
    text = value.partition(",")[0]
    figure = number(text)
    if field == "limit" and (figure == 0.0 or (figure is None and number(text.strip().removeprefix("-")) is not None)):
        return [(kind, field, None)]
    unnamed = field == "limit" and not named
    return [] if figure is None or figure > _MOST or unnamed else [(kind, field, figure)]


def _reset(value: str, headers: Mapping[str, str], now: float | None) -> float | None:
    """Read when a count begins anew: seconds, a duration such as ``6m0s``, a date or a Unix time."""
    seconds = number(value)
    if seconds is None and _DURATION.fullmatch(value):
        seconds = sum(float(figure) * _UNITS[unit] for figure, unit in _PIECE.findall(value))
    if seconds is not None and seconds < _UNIX:
        return min(seconds, LONGEST_WAIT)
    until = _date(value) if seconds is None else seconds
    since = unix_time(header(headers, "date"))
    since = now if since is None else since
    if until is None or since is None or not until < _MOST:
        return None
    return min(max(until - since, 0.0), LONGEST_WAIT)


def _date(value: str) -> float | None:
    """Return the Unix time of a date, by RFC 3339 or as HTTP has them."""
    try:
        date = datetime.fromisoformat(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return unix_time(value)


def _structured(value: str) -> list[tuple[str, str, float | None]]:
    """Read the first policy of the draft's own fields; one that is not by the minute says nothing."""
    found = _ITEM.match(value, 0, 256)
    given = dict(pair.split("=") for pair in found[1][1:].split(";")) if found else {}
    if given.get("w", "60") != "60":
        return []
    fields = (("q", "limit", _MOST), ("r", "remaining", _MOST), ("t", "reset", LONGEST_WAIT))
    figures = [(field, number(given.get(key)), most) for key, field, most in fields]
    return [("requests", field, figure) for field, figure, most in figures if figure is not None and figure <= most]
