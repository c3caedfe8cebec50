"""Deployments for the tests of routing: a name, and a credential of its own."""

from dataclasses import dataclass, field

from modelhub.types.credential import Credential


@dataclass(frozen=True, slots=True)
class Place:
    """A deployment, as far as routing knows it."""

    id: str
    provider_id: str = "p"
    model: str = "m"
    credential: Credential = field(default_factory=lambda: Credential({"api_key": "k"}), compare=False, repr=False)
