"""Credentials as they are configured: base URLs, flat values or named ones, for a provider or for one of its models.

Several nodes may stand behind one of them: the addresses of a name, or what a function returns. They are looked up
elsewhere, and so is what the values are made of (references, callables); no message repeats one.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from modelhub.configuration.limits import LIMIT_KEYS, BudgetTable, limit_table
from modelhub.configuration.problems import Complaint, Keys, shown_key
from modelhub.credentials.references import is_dynamic, literal
from modelhub.errors import ConfigurationError
from modelhub.rules.names import did_you_mean
from modelhub.types.credential import OperatorValues
from modelhub.types.forms import FormField
from modelhub.types.json import JSON
from modelhub.types.secret import Secret

__all__ = [
    "LEAST_REFRESH",
    "REFRESH",
    "URL_ALONE",
    "CredentialSource",
    "Discovery",
    "configured_credentials",
    "credential_sources",
    "endpoint_field",
    "found_credentials",
]

_AS_TABLES = "give the form's values as a table, or a list of tables, or of base URLs"
_ENDPOINT = ""
"""What a base URL stands under that is given alone, until the provider's form says which of its fields is the one."""

URL_ALONE = r"^\s*([Hh][Tt][Tt][Pp][Ss]?://|(env|file|keyring):)\S"
"""What a text is that may stand for a whole credential: a base URL with its scheme, or where one is."""

_AS_URL = "begin it with http:// or https://, or give the form's values as a table"
_HOST_AND_PORT = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?(?=/|$)", re.IGNORECASE)
_LONGEST_NAME = 200
_KEYS = ("id", "values", "weight", "discover", "refresh", *LIMIT_KEYS)
_DATES = (dt.date, dt.time)

REFRESH, LEAST_REFRESH = 30.0, 5.0
"""Seconds between two look-ups, where nobody says and at least."""

_AS_DISCOVERED = 'write discover = "dns"; in code it may be a function too'
_AS_REFRESH = f"seconds between two look-ups, {LEAST_REFRESH:g} at least"


@dataclass(frozen=True, slots=True)
class Discovery:
    """That several nodes stand behind a credential, and how they are found.

    Attributes:
        refresh: Seconds between two look-ups, about.
        function: Returns what could stand in the credential's place; ``None`` for the addresses that the host of the
            base URL has.
    """

    refresh: float = REFRESH
    function: Callable[[], object] | None = None


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
        operator: Whether they are the operator's although they come with a call.
        discovery: How the nodes are found that it stands for; ``None`` where it is one.
    """

    values: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    id: str = "default"
    below: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    weight: float = 1.0
    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
    budget: BudgetTable | None = None
    operator: bool = False
    discovery: Discovery | None = None

    @property
    def function(self) -> Callable[[], object] | None:
        """What returns the credentials that stand in its place."""
        return None if self.discovery is None else self.discovery.function

    def answers_to(self, name: str) -> bool:
        """Whether a name may mean it or a node that it stands for; of those, nothing is known before they are found."""
        if self.discovery is None:
            return name == self.id
        return self.function is not None or name == self.id or name.startswith(f"{self.id}@")

    @property
    def layers(self) -> tuple[Mapping[str, JSON], Mapping[str, JSON]]:
        """The values, those that count more last."""
        return self.below, self.values

    def placed(self, form: Sequence[FormField], provider: str) -> CredentialSource:
        """Return it with a base URL that was given alone under the form's field for it.

        Args:
            form: The provider's fields.
            provider: Its id.

        Raises:
            ConfigurationError: There is no such field, or there are several.
        """
        if not any(_ENDPOINT in layer for layer in self.layers):
            return self
        name = endpoint_field(form)
        if name is None:
            message = f"the credential {self.id!r} of provider {provider!r} is a text alone"
            remedy = "the form has not one field for a base URL: give its values as a table"
            raise ConfigurationError(message, remedy=remedy)
        below, values = ({name if key == _ENDPOINT else key: layer[key] for key in layer} for layer in self.layers)
        return replace(self, values=values, below=below)


def endpoint_field(form: Sequence[FormField]) -> str | None:
    """Return the variable of the one field of a form that is a base URL; ``None`` where there is none, or several."""
    variables = {field.variable for field in form if field.role == "endpoint"}
    return variables.pop() if len(variables) == 1 else None


def credential_sources(given: object, provider: str) -> list[CredentialSource]:
    """Read credentials that an application gives: flat values, or a list.

    In a list may be flat values, ``{id, values}`` and base URLs.

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
        given: Flat values, or a list of flat values, of ``{id, values, weight}`` with limits, or of base URLs; or a
            function that returns such.
        provider: Whose they are, for the messages.

    Returns:
        Those that can be used, and the complaints, each with its path below ``given``.
    """
    if callable(given):
        given = {"discover": given}
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
        if found:
            continue
        source = _source(row, name) if isinstance(row, Mapping) else _of_url(str(row), name, _ids(rows) | {*sources})
        if source.id in sources:
            message = f"two credentials of {provider!r} have the id {source.id!r}"
            complaints.append(Complaint(below, message, "give each its own id"))
        sources.setdefault(source.id, source)
    return list(sources.values()), complaints


def found_credentials(given: object, provider: str) -> tuple[list[CredentialSource], list[Complaint]]:
    """Read what a function returned in the place of credentials, and say what is wrong with it.

    Each is called by its ``id``, else after the host and port of its base URL: the same values have the same name,
    wherever they stand. What comes out of a function is not looked at again, so texts refer to nothing.

    Args:
        given: A base URL, flat values, ``{id, values, weight}`` with limits, or several of these.
        provider: Whose they are, for the messages.

    Returns:
        Those that can be used, and the complaints.
    """
    rows = [given] if isinstance(given, Mapping | str) else given
    if not isinstance(rows, Collection) or isinstance(rows, bytes):
        message = f"a {type(given).__name__} is no credential of {provider!r}"
        return [], [Complaint((), message, "return base URLs, tables of values, or several of them in a list")]
    sources: dict[str, CredentialSource] = {}
    complaints: list[Complaint] = []
    for number, row in enumerate(rows):
        which = f"credential {number} of {provider!r}"
        found = list(_found_complaints(row, which)) or list(_row_complaints(row, which))
        name = _name_of(row) or ("default" if len(rows) == 1 else "")
        if not found and not name and not _ids([row]):
            found = [Complaint((), f"{which} has neither an id nor a base URL to be called after", "give it an id")]
        complaints += found
        if found:
            continue
        source = _source(row, name) if isinstance(row, Mapping) else CredentialSource({_ENDPOINT: row}, name)
        source = replace(source, values=cast("Mapping[str, JSON]", literal(source.values)))
        if sources.setdefault(source.id, source) != source:
            message = f"two credentials of {provider!r} that are not the same are called {source.id!r}"
            complaints.append(Complaint((), message, "give each an id"))
    return list(sources.values()), complaints


def _found_complaints(row: object, which: str) -> Iterator[Complaint]:
    if isinstance(row, Mapping):
        if callable(row.get("discover")) or ("discover" in row and isinstance(row.get("values"), Mapping)):
            yield Complaint((), f"{which} is to be found in its turn", "return what it stands for")
        elif is_dynamic(row):
            yield Complaint((), f"{which} has a function in it", "return what the function returns")


def _name_of(row: object) -> str:
    """Return what a credential without an id is called: after the host and port of its base URL, if it has one."""
    if not isinstance(row, Mapping):
        return _host_and_port(str(row))
    values = row.get("values")
    texts = [
        each.reveal() if isinstance(each, Secret) else each
        for each in (values if isinstance(values, Mapping) else row).values()
    ]
    return next(filter(None, (_host_and_port(each) for each in texts if isinstance(each, str))), "")


def _ids(rows: Sequence[object]) -> set[str]:
    """Return the names that are given."""
    named = [row.get("id") for row in rows if isinstance(row, Mapping) and isinstance(row.get("values"), Mapping)]
    return {id for id in named if isinstance(id, str)}


def _of_url(text: str, name: str, taken: set[str]) -> CredentialSource:
    """Return the credential that is a base URL alone, called after its host and port, and nothing else in it.

    Args:
        text: What was given; where it is no plain URL, nothing of it is shown.
        name: What it is called then.
        taken: The names of others.
    """
    named = _host_and_port(text) or name
    names = (named if number == 1 else f"{named}-{number}" for number in itertools.count(1))
    return CredentialSource({_ENDPOINT: text}, next(each for each in names if each not in taken))


def _host_and_port(text: str) -> str:
    """Return the host and port of a plain URL, and nothing of any other text."""
    found = _HOST_AND_PORT.match(text.strip()) if "@" not in text and "\\" not in text else None
    return found[0].partition("://")[2].lower() if found and len(found[0]) < _LONGEST_NAME else ""


def _source(row: Mapping[str, object], name: str) -> CredentialSource:
    values = row.get("values")
    if callable(row.get("discover")):
        return CredentialSource({}, name, discovery=_discovery(row))
    if not isinstance(values, Mapping):
        operator = isinstance(row, OperatorValues)
        return CredentialSource(dict(row), name, operator=operator)  # type: ignore[arg-type]  # the form says what its values may be
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
        operator=isinstance(values, OperatorValues),
        discovery=_discovery(row) if "discover" in row else None,
    )


def _discovery(row: Mapping[str, object]) -> Discovery:
    how, refresh = row["discover"], row.get("refresh", REFRESH)
    return Discovery(float(refresh), how if callable(how) else None)  # type: ignore[arg-type]  # looked at before


def _row_complaints(row: object, which: str) -> Iterator[Complaint]:
    if isinstance(row, str):
        if not re.match(URL_ALONE, row):  # a key that is taken for a URL would be sent to whoever resolves names
            yield Complaint((), f"{which} is a text that is no base URL", _AS_URL)
        return
    if not isinstance(row, Mapping):
        yield Complaint((), f"{which} is a {type(row).__name__}, not a table", _AS_TABLES)
        return
    values = row.get("values")
    if callable(row.get("discover")):
        yield from _function_complaints(row, which)
        return
    if isinstance(values, Mapping):
        yield from _named_complaints(row, which)
        below: Keys = ("values",)
    else:
        values, below = row, ()
    for key, value in values.items():
        if not isinstance(key, str):
            yield Complaint(below, f"{which} has a {type(key).__name__} as a key", "name the form's fields by texts")
        elif key == _ENDPOINT:
            yield Complaint(below, f"{which} has an empty key", "name the form's fields")
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
    if row.get("discover", "dns") != "dns":
        yield Complaint(("discover",), f"discover of {which} is not dns", _AS_DISCOVERED)
    elif "refresh" in row and "discover" not in row:
        yield Complaint(("refresh",), f"{which} has refresh without discover", _AS_DISCOVERED)
    yield from _refresh_complaints(row, which)
    for each in limit_table(row)[1]:
        yield Complaint(each.keys, f"of {which}, {each.message}", each.remedy)


def _function_complaints(row: Mapping[object, object], which: str) -> Iterator[Complaint]:
    for key in row:
        if key not in {"discover", "refresh"}:
            remedy = "what the function returns has an id, values, a weight and limits: give nothing but refresh here"
            yield Complaint((str(key),), f"{which} has {shown_key(key)} beside a function", remedy)
    yield from _refresh_complaints(row, which)


def _refresh_complaints(row: Mapping[object, object], which: str) -> Iterator[Complaint]:
    refresh = row.get("refresh", REFRESH)
    if isinstance(refresh, bool) or not isinstance(refresh, int | float) or not LEAST_REFRESH <= refresh < math.inf:
        yield Complaint(("refresh",), f"refresh of {which} is no number from {LEAST_REFRESH:g}", _AS_REFRESH)
