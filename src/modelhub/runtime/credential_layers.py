"""What a credential is made of: the layers of its values, those that count less first.

Which layers there are is asked in `modelhub.runtime.credentials`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from modelhub.configuration.settings import CredentialSource
from modelhub.credentials.references import is_reference, leaves
from modelhub.errors import CredentialsInvalid
from modelhub.types.credential import CredentialKey
from modelhub.types.json import JSON

__all__ = [
    "Function",
    "GivenCredentials",
    "Layers",
    "identity",
    "of_same_name",
    "refers",
    "typed_layers",
    "without_references",
]


@final
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class GivenCredentials:
    """Credentials that a call or a bound model brings; the same object is the same credentials.

    Attributes:
        provider: Whose they are: no other provider of the call sees them.
        sources: In the order to try them.
        lasting: Whether they will be used again.
        tenant: Whether users of the application typed them, so that a base URL among them is theirs.
        tenant_below: Whether they typed what the sources stand over as well, which is the bound model's.
    """

    provider: str
    sources: Sequence[CredentialSource]
    lasting: bool = False
    tenant: bool = True
    tenant_below: bool = False


@dataclass(frozen=True, slots=True)
class Layers:
    """What a credential's values are made of, those that count less first.

    Attributes:
        source: What was configured, for the uppermost of them.
        lower: What is stored and configured for the provider; the environment stands below all of it.
        upper: What is given for the model, the bound model or the call: a secret of those below does not follow it to
            another origin.
        typed: What users of the application typed, over all of it.
    """

    source: CredentialSource
    lower: tuple[Mapping[str, JSON], ...]
    upper: tuple[Mapping[str, JSON], ...] = ()
    typed: tuple[Mapping[str, JSON], ...] = ()

    def under(self, source: CredentialSource, *, typed: int = 0) -> Layers:
        """Return these layers with a source over them, which gives its name.

        Args:
            source: Its layers count more than these.
            typed: How many of its layers, from the last, users of the application typed.
        """
        own = len(source.layers) - typed
        upper, over = source.layers[:own], source.layers[own:]
        return Layers(source, self.lower, (*self.upper, *filter(None, upper)), tuple(filter(None, over)))

    @property
    def id(self) -> str:
        """The credential's name."""
        return self.source.id

    @property
    def all(self) -> tuple[Mapping[str, JSON], ...]:
        """All layers."""
        return self.lower + self.upper + self.typed


def of_same_name(layers: Sequence[Layers], source: CredentialSource) -> Layers:
    """Return the provider's credential that one of a model stands over: that of the same name, else the first."""
    return next((each for each in layers if each.id == source.id), layers[0])


def typed_layers(given: GivenCredentials, source: CredentialSource) -> int:
    """Return how many of a source's layers, from the last, users of the application typed."""
    if given.tenant_below:
        return len(source.layers)
    return 1 if given.tenant and not source.operator else 0


def without_references(source: CredentialSource, provider: str) -> CredentialSource:
    """Return what a bound model or a call gives, where it refers to nothing.

    Such values may be what users of the application typed: whoever writes ``file:…`` beside a base URL of their own
    would be sent the application's files.

    Raises:
        CredentialsInvalid: A value is a reference.
    """
    given = [name for layer in source.layers for name, value in layer.items() if refers({name: value})]
    if given:
        problem = "it refers to a value elsewhere, which only settings and store may do"
        message = f"the credential {source.id!r} of provider {provider!r} cannot be used: {given[0]}: {problem}"
        remedy = "give what modelhub.credentials.resolved(…) returns for values of your own, literal(…) for users' ones"
        raise CredentialsInvalid(message, fields=dict.fromkeys(given, problem), remedy=remedy)
    return source


def refers(values: Mapping[str, object]) -> bool:
    """Whether a value stands elsewhere, where it may be changed."""
    return any(is_reference(leaf) for _, leaf in leaves(values))


def identity(layers: Layers) -> CredentialKey:
    """Return what is the same for a credential however often its values change: where they come from.

    A function stands for itself, and for no other that looks like it; it is kept, so that none takes its address.
    """
    given = [[*leaves(each)] for each in layers.all]
    functions = tuple(Function(leaf) for each in given for _, leaf in each if callable(leaf))
    plain = [[(place, None if callable(leaf) else leaf) for place, leaf in each] for each in given]
    return CredentialKey((layers.id, plain), functions)


@final
class Function:
    """A function as a key, also where it has no hash of its own."""

    __slots__ = ("_function",)

    def __init__(self, function: object) -> None:
        self._function = function

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Function):
            return NotImplemented
        mine, theirs = self._function, other._function
        return mine is theirs or (_hashable(mine) and _hashable(theirs) and bool(mine == theirs))

    def __hash__(self) -> int:
        return hash(self._function) if _hashable(self._function) else id(self._function)


def _hashable(value: object) -> bool:
    return type(value).__hash__ is not None
