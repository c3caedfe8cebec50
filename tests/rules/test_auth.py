"""The headers that a credential brings: from the provider's templates, and the user's own."""

from collections.abc import Mapping
from typing import Any

import pytest

from modelhub.rules.auth import auth_headers, template_variables
from modelhub.rules.forms import filled
from modelhub.types.forms import Condition, FormField
from modelhub.types.secret import Secret

KEY = FormField("api_key", "secret-input")
HEADERS = FormField("headers", "key-value", role="headers", required=False)


def headers(auth: Mapping[str, str], form: list[FormField], **values: Any) -> list[tuple[str, str]]:
    """Return the headers of a filled-in form, as they are sent."""
    found = auth_headers(auth, form, filled(form, values, provider="acme"))
    return [(name, value.reveal() if isinstance(value, Secret) else value) for name, value in found]


def test_auth_headers_are_filled_in_from_the_credential() -> None:
    """A header whose values are all missing is left out; the user's own headers follow, and go before ours."""
    auth = {"Authorization": "Bearer {api_key}", "X-Team": "{team}", "X-Both": "{api_key}:{team}", "X-Fixed": "1"}
    form = [KEY, FormField("team", required=False), HEADERS]
    assert headers(auth, form, api_key="k") == [
        ("Authorization", "Bearer k"),
        ("X-Both", "k:"),
        ("X-Fixed", "1"),
    ]
    own = {"authorization": "Basic x", "X-Own": "2"}
    assert headers(auth, form, api_key="k", headers=own) == [
        ("X-Both", "k:"),
        ("X-Fixed", "1"),
        ("authorization", "Basic x"),
        ("X-Own", "2"),
    ]


def test_a_variable_with_several_fields_is_sent_once() -> None:
    """Each field stands for it under another condition."""
    form = [KEY, HEADERS, FormField("headers", "key-value", role="headers", show_on=[Condition("api_key", "other")])]
    assert headers({}, form, api_key="k", headers={"X-Own": "1"}) == [("X-Own", "1")]


def test_headers_do_not_show_what_they_hold() -> None:
    """They wait in memory between calls, and come into tracebacks."""
    form = [KEY, HEADERS]
    own = filled(form, {"api_key": "k-0123456789", "headers": {"X-Own": "k-9876543210"}}, provider="acme")
    shown = repr(auth_headers({"Authorization": "Bearer {api_key}"}, form, own))
    assert "X-Own" in shown
    assert "k-" not in shown


def test_a_value_in_braces_is_no_template() -> None:
    """Only the provider's template is one."""
    assert headers({"X-Key": "{api_key}"}, [KEY], api_key="{team}") == [("X-Key", "{team}")]


@pytest.mark.parametrize(
    ("template", "variables"),
    [("Bearer {api_key}", ["api_key"]), ("{a}{b}", ["a", "b"]), ("plain", []), ("{{x}}{a}", ["a"])],
)
def test_the_variables_of_a_template(template: str, variables: list[str]) -> None:
    """Doubled braces are braces."""
    assert template_variables(template) == variables


@pytest.mark.parametrize("template", ["{api_key", "api_key}", "{}", "{0}", "{api_key.x}", "{api_key!r}", "{a[0]}"])
def test_a_template_that_is_none_is_refused(template: str) -> None:
    """Only whole variables stand in it."""
    with pytest.raises(ValueError, match="template"):
        template_variables(template)
