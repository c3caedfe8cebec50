"""Credential forms: the fields that a provider wants filled in, and when each of them is shown.

The names are those of Dify's YAML, which is read unchanged; what modelhub adds is optional and marked so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from modelhub.types.i18n import Labels
from modelhub.types.json import JSON

__all__ = [
    "Condition",
    "CredentialSchema",
    "EndpointRule",
    "FieldRole",
    "FieldType",
    "FormField",
    "FormOption",
    "ModelCredentialSchema",
    "ModelField",
]

FieldType: TypeAlias = Literal[
    "text-input",
    "secret-input",
    "select",
    "radio",
    "switch",
    "number",
    "url",
    "textarea",
    "json",
    "key-value",
    "multi-select",
    "file",
]
"""What a field holds. The first five are Dify's.

``number`` (int or float), ``url``, ``textarea`` (a text of several lines), ``json`` (any JSON value), ``key-value``
(names with texts), ``multi-select`` (a list of options' values) and ``file`` (the text of a file) are ours."""

FieldRole: TypeAlias = Literal["endpoint", "secret", "option", "headers"]
"""(ours) What a value is for: the base URL, a secret, an option of the plugin's, headers sent with every request."""


def _key(name: str) -> str:
    """Return the key of a field whose name is a word of Python's."""
    return name.rstrip("_")


@dataclass(frozen=True, slots=True)
class Condition:
    """When a field, an option or a parameter counts: by the values of other ones.

    What is given must hold all together. Dify has ``variable`` and ``value``; the rest is ours.

    Attributes:
        variable: The other field or parameter; ``__model_type`` is the type of the model that a form is filled in for.
        value: It has this value.
        in_: It has one of these values (key ``in``).
        exists: It has any value at all, or none.
        all: All of these conditions hold.
        any: At least one of these holds.
        not_: This one does not hold (key ``not``).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": _key, "populate_by_name": True}
    variable: str | None = None
    value: JSON = None
    in_: Sequence[JSON] | None = None
    exists: bool | None = None
    all: Sequence[Condition] | None = None
    any: Sequence[Condition] | None = None
    not_: Condition | None = None


@dataclass(frozen=True, slots=True)
class FormOption:
    """A choice of a ``select``, ``radio`` or ``multi-select`` field."""

    value: str
    label: Labels | str = ""
    show_on: Sequence[Condition] = ()


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """(ours) How a provider's base URL is read.

    Attributes:
        scheme: The scheme where none is given.
        port: The port where neither scheme nor port is given.
        strip: Endings of the path that belong to the API itself and that people paste along, such as ``/api``.
    """

    scheme: Literal["http", "https"] = "https"
    port: int | None = None
    strip: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a credential form.

    Attributes:
        variable: The name that the value goes by. Several fields may have the same one, each with its own ``show_on``.
        type: What it holds.
        required: Whether it must be filled in; a ``default`` satisfies it.
        options: The choices of a ``select``, ``radio`` or ``multi-select`` field.
        max_length: Characters that a text may have; 0 for any number.
        show_on: When it is shown. What stands in a field that is not shown does not count.
        role: (ours) ``endpoint`` (the base URL), ``secret`` (masked), ``headers`` (sent with every request, masked)
            or ``option``.
        endpoint: (ours) How the base URL is read, for the field whose role is ``endpoint``.
        min, max: (ours) The least and the greatest value of a ``number``.
        accept: (ours) Endings of the names of files that a ``file`` field is for, such as ``.json``.
    """

    variable: str
    type: FieldType = "text-input"
    label: Labels | str = ""
    required: bool = True
    default: JSON = None
    options: Sequence[FormOption] = ()
    placeholder: Labels | str | None = None
    help: Labels | str | None = None
    url: Labels | str | None = None
    max_length: int = 0
    show_on: Sequence[Condition] = ()
    role: FieldRole | None = None
    endpoint: EndpointRule | None = None
    min: float | None = None
    max: float | None = None
    accept: Sequence[str] = ()

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.role in {"secret", "headers"} or self.type == "secret-input"


@dataclass(frozen=True, slots=True)
class CredentialSchema:
    """A provider's credential form."""

    credential_form_schemas: Sequence[FormField] = ()


@dataclass(frozen=True, slots=True)
class ModelField:
    """How the name of a customizable model is asked for."""

    label: Labels | str = ""
    placeholder: Labels | str | None = None


@dataclass(frozen=True, slots=True)
class ModelCredentialSchema:
    """The credential form of a customizable model: its fields stand beside those of the provider's form."""

    model: ModelField = field(default_factory=ModelField)
    credential_form_schemas: Sequence[FormField] = ()
