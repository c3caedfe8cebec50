"""The headers that a credential brings, from the templates that a provider declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

from modelhub.types.credential import Credential
from modelhub.types.forms import FormField
from modelhub.types.secret import Secret

__all__ = ["auth_headers", "template_variables"]


def auth_headers(
    auth: Mapping[str, str], form: Sequence[FormField], credential: Credential
) -> list[tuple[str, Secret]]:
    """Return the headers that a credential brings: those of the provider's ``auth``, then the user's own.

    A header whose template names only missing values is left out, and so is one that the user gives. The values are
    secrets, which the HTTP backend reveals where it sends them.
    """
    own: list[tuple[str, Secret]] = []
    for variable in dict.fromkeys(field.variable for field in form if field.role == "headers"):
        given = credential.get(variable)
        if isinstance(given, Mapping):
            own.extend(
                (name, value if isinstance(value, Secret) else Secret(str(value))) for name, value in given.items()
            )
    replaced = {name.lower() for name, _ in own}
    headers = []
    for name, template in auth.items():
        values = {key: credential.secret(key) for key in template_variables(template)}
        if name.lower() not in replaced and (not values or any(values.values())):
            headers.append((name, _filled(template, values)))
    return headers + own


def _filled(template: str, values: Mapping[str, Secret]) -> Secret:
    return Secret(template.format_map({name: value.reveal() for name, value in values.items()}))


def template_variables(template: str) -> list[str]:
    """Return the variables of a template such as ``Bearer {api_key}``.

    Raises:
        ValueError: It is none.
    """
    try:
        pieces = [piece[1:] for piece in Formatter().parse(template) if piece[1] is not None]
    except ValueError as error:
        raise ValueError(f"the template has a brace too many or too few ({error})") from None
    for name, form, conversion in pieces:
        if form or conversion or not str(name).isidentifier():
            raise ValueError("in the template only {variable} may stand in braces")
    return [str(name) for name, _, _ in pieces]
