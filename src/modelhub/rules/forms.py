"""Credential forms: from the values given to the values that count, or every complaint at once.

What each type of field takes is in `modelhub.rules.field_values`, which fields are shown in `modelhub.rules.shown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from modelhub.errors import CredentialsInvalid
from modelhub.rules.endpoint import REASONS, Endpoint, EndpointRefused, endpoint_of
from modelhub.rules.field_values import value_of
from modelhub.rules.names import looks_like_a_secret, nearest
from modelhub.rules.shown import MODEL_TYPE, asked_by, by_variable, decision_order, first_shown, offered
from modelhub.types.credential import Credential, CredentialValue
from modelhub.types.forms import FormField
from modelhub.types.json import JSON
from modelhub.types.problems import FieldProblem
from modelhub.types.schema import ModelType, ProviderSchema

__all__ = ["endpoint_in", "filled", "layered", "model_form", "moved", "problems"]

V = TypeVar("V")


def layered(form: Sequence[FormField], *layers: Mapping[str, V], model_type: ModelType | None = None) -> dict[str, V]:
    """Put values of a form over each other, the later over the earlier.

    A secret belongs to the origin it was given with: a layer that leads to another origin does not get the secrets
    below it, so that a key is never sent to a server that only the caller of one call knows.

    Args:
        form: The fields.
        layers: Values, those that count less first.
        model_type: The type of the model, for conditions on ``__model_type``.
    """
    secrets = {field.variable for field in form if field.secret}
    values: dict[str, V] = {}
    for layer in layers:
        over = {**values, **layer}
        if not secrets.isdisjoint(values) and moved(form, values, over, model_type=model_type) is not None:
            over = {**{name: value for name, value in values.items() if name not in secrets}, **layer}
        values = over
    return values


def moved(
    form: Sequence[FormField],
    before: Mapping[str, object],
    after: Mapping[str, object],
    *,
    model_type: ModelType | None = None,
) -> str | None:
    """Return the variable of a base URL that leads to another origin after a change of values; ``None`` if none does.

    Not only another URL does: so does taking it away where the form has a default, and choosing what shows another
    field.

    Args:
        form: The fields.
        before: The values before.
        after: The values after.
        model_type: The type of the model, for conditions on ``__model_type``.
    """
    if all(before.get(variable) == after.get(variable) for variable in _leading(form)):
        return None
    given = [cast("Mapping[str, CredentialValue]", values) for values in (before, after)]
    old, new = (_decided(form, values, model_type).endpoints for values in given)
    for variable in {**old, **new}:
        one, other = old.get(variable), new.get(variable)
        if one is None or other is None or one.origin != other.origin:
            return variable
    return None


def _leading(form: Sequence[FormField]) -> Iterator[str]:
    """Yield the variables that decide where requests go: base URLs, and what shows fields or their options."""
    for each in form:
        if each.role == "endpoint":
            yield each.variable
        yield from asked_by(each)


def model_form(schema: ProviderSchema) -> list[FormField]:
    """Return the form of a customizable model: the provider's fields, then those of the model itself.

    A variable of the model's own form stands in place of the provider's. The provider's values are inherited by laying
    the model's over them; see `layered`.
    """
    own = schema.model_credential_schema.credential_form_schemas if schema.model_credential_schema else ()
    variables = {field.variable for field in own}
    return [*(field for field in schema.form if field.variable not in variables), *own]


def filled(
    form: Sequence[FormField],
    values: Mapping[str, CredentialValue],
    *,
    provider: str,
    id: str = "default",
    model_type: ModelType | None = None,
    key: object | None = None,
    trusted: Mapping[str, object] | None = None,
) -> Credential:
    """Fill in a form.

    A default satisfies ``required``; ``False`` and 0 are values; an empty text, an empty list and ``None`` are none;
    what stands in a field that is not shown is left out. Of several fields with one variable the first that is shown
    counts.

    Args:
        form: The fields.
        values: What was given, by variable; it is not changed.
        provider: Whose form it is, for the message.
        id: The credential's name, for the message.
        model_type: The type of the model that the form is filled in for, for conditions on ``__model_type``.
        key: What makes it the same credential whatever its values are; see `Credential`.
        trusted: The values without those that users of the application typed, where there are such. The base URL is
            theirs unless these alone lead to the very same one.

    Raises:
        CredentialsInvalid: ``fields`` and ``problems`` say what is wrong with which field, all at once.
    """
    found = _decided(form, values, model_type)
    if found.problems:
        complaints = _by_path(found.problems)
        what = "; ".join(f"{path}: {complaint}" for path, complaint in complaints.items())
        message = f"the credential {id!r} of provider {provider!r} cannot be used: {what}"
        raise CredentialsInvalid(message, fields=complaints, problems=found.problems)
    return Credential(
        found.values,
        id=id,
        secret_names=frozenset(field.variable for field in form if field.secret),
        endpoint=found.endpoint,
        key=key,
        endpoint_field=next(iter(found.endpoints), None),
        tenant_endpoint=trusted is not None
        and found.endpoint != _endpoint_of(form, trusted, values, found, model_type),
    )


def _endpoint_of(
    form: Sequence[FormField],
    trusted: Mapping[str, object],
    values: Mapping[str, object],
    found: _Decided,
    model_type: ModelType | None,
) -> str | None:
    """Return the base URL that trusted values alone lead to; ``found`` is what came of all values."""
    if all(trusted.get(variable) == values.get(variable) for variable in _leading(form)):
        return found.endpoint
    return _decided(form, cast("Mapping[str, CredentialValue]", trusted), model_type).endpoint


def problems(
    form: Sequence[FormField], values: Mapping[str, CredentialValue], *, model_type: ModelType | None = None
) -> list[FieldProblem]:
    """Return everything that is wrong with the values of a form; an empty list where it can be used.

    Unknown keys come first, then the fields in the form's order.

    Args:
        form: The fields.
        values: What was given, by variable; it is not changed.
        model_type: The type of the model that the form is filled in for, for conditions on ``__model_type``.
    """
    return list(_decided(form, values, model_type).problems)


def endpoint_in(credential: Credential) -> Endpoint | None:
    """Return where the requests of a credential go."""
    return None if credential.endpoint is None else endpoint_of(credential.endpoint)


@dataclass(frozen=True, slots=True)
class _Decided:
    """What came of a form: the values that count, and every complaint."""

    values: Mapping[str, JSON] = field(repr=False)  # tracebacks with locals would show the secrets among them
    problems: Sequence[FieldProblem]
    endpoints: Mapping[str, Endpoint]

    @property
    def endpoint(self) -> str | None:
        """The base URL: that of the first field which has one."""
        return next((each.url for each in self.endpoints.values()), None)


def _decided(
    form: Sequence[FormField], values: Mapping[str, CredentialValue], model_type: ModelType | None
) -> _Decided:
    fields = by_variable(form)
    decided: dict[str, JSON] = {} if model_type is None or MODEL_TYPE in fields else {MODEL_TYPE: str(model_type)}
    complaints: dict[str, list[FieldProblem]] = {}
    endpoints: dict[str, Endpoint] = {}
    for variable in decision_order(form):
        field = first_shown(fields[variable], decided)
        if field is None:
            continue
        found = complaints.setdefault(variable, [])
        value = value_of(field, values.get(variable), offered(field, decided), found)
        if field.role == "endpoint" and value is not None:
            value = _endpoint(field, value, endpoints, found)
        if value is not None:
            decided[variable] = value
    taken = {variable: decided[variable] for variable in fields if variable in decided}
    wrong = [*_unknown(fields, values), *(each for variable in fields for each in complaints.get(variable, ()))]
    return _Decided(taken, wrong, {variable: endpoints[variable] for variable in fields if variable in endpoints})


def _endpoint(field: FormField, value: JSON, endpoints: dict[str, Endpoint], found: list[FieldProblem]) -> JSON:
    try:
        endpoints[field.variable] = endpoint_of(str(value), field.endpoint)
    except EndpointRefused as error:
        why = {"en": error.why, "id": REASONS[error.why]}
        found.append(FieldProblem(field.variable, "not_endpoint", {"why": why}, field.label))
        return None
    return value


def _unknown(fields: Mapping[str, object], values: Mapping[str, object]) -> Iterator[FieldProblem]:
    """Yield a complaint for each key that is no field's; one that may be a secret is not repeated."""
    hidden = 0
    for name in values:
        if name in fields:
            continue
        near = nearest(name, sorted(fields))
        if not near and looks_like_a_secret(name):
            hidden += 1
            yield FieldProblem(f"(unknown {hidden})", "unknown_key", {"limit": len(name)})
        elif near:
            yield FieldProblem(name, "unknown_near", {"names": near})
        elif fields:
            yield FieldProblem(name, "unknown", {"names": sorted(fields)})
        else:
            yield FieldProblem(name, "no_fields")


def _by_path(found: Sequence[FieldProblem]) -> dict[str, str]:
    complaints: dict[str, str] = {}
    for problem in found:
        before = complaints.get(problem.path)
        complaints[problem.path] = f"{before}; {problem.message}" if before else problem.message
    return complaints
