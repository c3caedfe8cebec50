"""What people see of a credential, and what an edit of it may keep."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.canary import CANARY, canary

from modelhub.credentials.display import HIDDEN, edited, masked, secured
from modelhub.credentials.references import is_reference
from modelhub.errors import CredentialsInvalid
from modelhub.types.forms import Condition, EndpointRule, FormField
from modelhub.types.secret import Secret

FORM = [
    FormField("base_url", role="endpoint", default="https://acme.example", endpoint=EndpointRule()),
    FormField("api_key", "secret-input"),
    FormField("headers", "key-value", role="headers"),
    FormField("account", "json", role="secret"),
    FormField("region"),
    FormField("mode", show_on=[Condition("region", "a")]),
    FormField("mode", role="secret", show_on=[Condition("region", "b")]),
]
OLD = {
    "base_url": "https://acme.example/v1",
    "api_key": Secret(CANARY),
    "headers": {"X-Key": Secret(canary("headers")), "X-Team": Secret("red")},
    "region": "eu",
}


class TestMasked:
    """For people."""

    def test_secrets_show_four_characters_at_most(self) -> None:
        """Of a long one the last four, of a short one none; everything else is shown."""
        shown = masked({**OLD, "account": "short"}, FORM)
        assert shown == {
            "base_url": "https://acme.example/v1",
            "api_key": f"***{CANARY[-4:]}",
            "headers": {"X-Key": f"***{canary('headers')[-4:]}", "X-Team": "***"},
            "region": "eu",
            "account": "***",
        }
        json.dumps(shown)

    def test_references_are_shown_as_they_are(self) -> None:
        """They say where the secret is, and are none; what is escaped is the secret itself."""
        values = {"api_key": Secret("env:ACME_KEY"), "headers": {"X": "file:/run/secrets/x"}, "region": "keyring:a/b"}
        expected = {"api_key": "env:ACME_KEY", "headers": {"X": "file:/run/secrets/x"}, "region": "keyring:a/b"}
        assert masked(values, FORM) == expected
        assert masked({"api_key": "literal:env:short"}, FORM) == {"api_key": "***hort"}
        assert masked({"api_key": "literal:abc"}, FORM) == {"api_key": "***"}

    def test_what_the_form_does_not_know_is_a_secret(self) -> None:
        """As is a name that several fields have, one of them secret; and a `Secret` wherever it stands."""
        values = {"old_name": "canary-7c1f9be2", "mode": "canary-7c1f9be2", "region": Secret("canary-7c1f9be2")}
        assert masked(values, FORM) == dict.fromkeys(values, "***9be2")

    def test_a_url_with_a_password_in_it_is_a_secret(self) -> None:
        """No form takes one, but it may stand in the settings."""
        given = {"base_url": f"http://user:{CANARY}@acme.example", "region": "http://acme.example/a"}
        shown = masked(given, FORM)
        assert CANARY not in f"{shown}"
        assert shown == {"base_url": "***mple", "region": "http://acme.example/a"}

    def test_every_other_kind_of_value_is_shown_or_masked(self) -> None:
        """Functions by that word, numbers among secrets masked, nothing as nothing."""
        values: dict[str, Any] = {
            "api_key": lambda: "x",
            "region": 5,
            "account": [1234567890123, None, "", {"a": True}],
        }
        assert masked(values, FORM) == {
            "api_key": "(a function)",
            "region": 5,
            "account": ["***0123", None, "", {"a": "***"}],
        }

    @given(st.text(min_size=1).filter(lambda text: not is_reference(text)))
    def test_no_more_than_four_characters_of_any_secret(self, text: str) -> None:
        """And none of one with fewer than twelve."""
        expected = "***" + text[-4:] if len(text) >= 12 else "***"
        assert masked({"api_key": text, "account": Secret(text)}, FORM) == {"api_key": expected, "account": expected}


class TestSecured:
    """For a store."""

    def test_each_secret_of_the_form_is_one(self) -> None:
        """Texts, each of several headers, and other values as JSON; everything else is as it was."""
        given = {
            "api_key": "k",
            "headers": {"X": "h"},
            "account": ["a", 1],
            "region": "eu",
            "base_url": "u",
            "new": "n",
        }
        assert secured(given, FORM) == {
            "api_key": Secret("k"),
            "headers": {"X": Secret("h")},
            "account": Secret('["a", 1]'),
            "region": "eu",
            "base_url": "u",
            "new": Secret("n"),
        }

    def test_nothing_and_secrets_stay(self) -> None:
        """An empty field is no secret, and one that is a `Secret` is one already."""
        values = {"api_key": None, "account": Secret("x"), "headers": {}}
        assert secured(values, FORM) == values

    def test_what_cannot_be_kept_is_left_to_the_store(self) -> None:
        """Which refuses it by its path along with all the others."""
        function, thing = (lambda: "x"), object()
        assert secured({"api_key": function, "account": thing}, FORM) == {"api_key": function, "account": thing}


class TestEdited:
    """What comes back from an edit form."""

    def test_hidden_secrets_stay_what_they_were(self) -> None:
        """A single header too; what is typed anew is taken, what is left out is gone."""
        new = {
            "base_url": "https://acme.example/v2",
            "api_key": HIDDEN,
            "headers": {"X-Key": HIDDEN, "X-New": "new"},
            "account": "typed",
        }
        assert edited(OLD, new, FORM) == {
            "base_url": "https://acme.example/v2",
            "api_key": OLD["api_key"],
            "headers": {"X-Key": Secret(canary("headers")), "X-New": Secret("new")},
            "account": Secret("typed"),
        }
        assert edited(OLD, {"headers": HIDDEN, "api_key": Secret(HIDDEN)}, FORM) == {
            "headers": OLD["headers"],
            "api_key": OLD["api_key"],
        }

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example/v1",
            "http://acme.example/v1",
            "https://acme.example:8443/v1",
            "https://acme.example.evil.example/v1",
            "https://acme.example@evil.example/v1",
            "no url at all",
            "env:BASE_URL",
            Secret("https://evil.example"),
        ],
    )
    def test_a_moved_endpoint_gets_no_old_secret(self, url: object) -> None:
        """Every secret that would be kept has to be typed anew, and all of them are named at once."""
        new = {"base_url": url, "api_key": HIDDEN, "headers": {"X-Key": HIDDEN, "X-New": canary("typed")}}
        with pytest.raises(CredentialsInvalid) as caught:
            edited(OLD, new, FORM)
        assert caught.value.fields.keys() == {"api_key", "headers.X-Key"}
        assert "base_url now leads to another server" in caught.value.fields["api_key"]
        typed = {"base_url": url, "api_key": "typed", "headers": {"X-Key": "typed"}}
        assert edited(OLD, typed, FORM)["api_key"] == Secret("typed")

    @pytest.mark.parametrize(
        "url", ["https://acme.example", "https://ACME.example:443/other/", "acme.example/v1", "", None]
    )
    def test_the_same_origin_keeps_them(self, url: str | None) -> None:
        """Another path, another spelling, or the form's default, which is the same server."""
        assert edited(OLD, {"base_url": url, "api_key": HIDDEN}, FORM)["api_key"] == OLD["api_key"]

    def test_leaving_out_the_endpoint_is_moving_it_too(self) -> None:
        """Back to the form's default: a key that was given for another server does not go there."""
        old = {"base_url": "https://mine.example", "api_key": Secret("canary-7c1f9be2")}
        with pytest.raises(CredentialsInvalid, match="another server"):
            edited(old, {"api_key": HIDDEN}, FORM)
        form = [FormField("base_url", role="endpoint"), FormField("api_key", "secret-input")]
        with pytest.raises(CredentialsInvalid, match="another server"):
            edited(old, {"api_key": HIDDEN}, form)

    def test_the_same_reference_is_the_same_server(self) -> None:
        """Nobody reads it here, and it is the one that there was."""
        old = {"base_url": "env:BASE_URL", "api_key": Secret("canary-7c1f9be2")}
        assert edited(old, {"base_url": "env:BASE_URL", "api_key": HIDDEN}, FORM) == old

    def test_the_sentinel_is_no_value(self) -> None:
        """Not in a field that is no secret, nor where there was nothing before: it must never be sent to anybody."""
        new: dict[str, object] = {"region": HIDDEN, "mode": f"a{HIDDEN}", "account": HIDDEN}
        with pytest.raises(CredentialsInvalid) as caught:
            edited({"api_key": ""}, {**new, "api_key": HIDDEN, "headers": {"X": HIDDEN}}, FORM)
        no_secret = "[__HIDDEN__] stands for a secret that there is, as a whole: give the value"
        assert caught.value.fields == {
            "region": no_secret,
            "mode": no_secret,
            "account": "there is no earlier value to keep",
            "api_key": "there is no earlier value to keep",
            "headers.X": "there is no earlier value to keep",
        }
        for each in {"account": [HIDDEN]}, {"account": f"my{HIDDEN}"}, {"region": {"a": [HIDDEN]}}:
            with pytest.raises(CredentialsInvalid, match="as a whole"):
                edited(OLD, each, FORM)


@pytest.mark.parametrize(("before", "after"), [("file:/a", "file:/b"), ("env:A", "env:B"), ("https://a.example", "")])
def test_a_kept_secret_does_not_follow_a_reference_to_another_server(before: str, after: str) -> None:
    """Nobody can say that two references lead to the same server, though a path looks like a host's."""
    form = [FormField("base_url", role="endpoint", required=False), FormField("api_key", "secret-input")]
    old = {"base_url": before, "api_key": Secret("k-0123456789")}
    with pytest.raises(CredentialsInvalid) as caught:
        edited(old, {"base_url": after, "api_key": HIDDEN}, form)
    assert list(caught.value.fields) == ["api_key"]
    assert edited(old, {"base_url": before, "api_key": HIDDEN}, form)["api_key"] == Secret("k-0123456789")


def test_a_kept_secret_does_not_follow_a_base_url_that_is_for_one_type_of_model() -> None:
    """An edit does not say which type it is for, so the URL of any counts."""
    form = [
        FormField("speech_url", role="endpoint", required=False, show_on=[Condition("__model_type", "tts")]),
        FormField("api_key", "secret-input"),
    ]
    old = {"speech_url": "https://a.example", "api_key": Secret("k-0123456789")}
    with pytest.raises(CredentialsInvalid, match="speech_url"):
        edited(old, {"speech_url": "https://b.example", "api_key": HIDDEN}, form)


@pytest.mark.parametrize(
    "typed", ["env:sk-0123456789abcdef", "env:AIzaSyD0123456789abcdefghijk", "env:AKIAIOSFODNN7EXAMPLE"]
)
def test_a_key_behind_a_prefix_is_masked(typed: str) -> None:
    """Somebody who wrote it in the place of a variable's name must not see it shown to all."""
    form = [FormField("api_key", "secret-input")]
    shown = masked({"api_key": typed, "headers": {"X-Key": Secret(typed)}}, form)
    assert shown == {"api_key": f"***{typed[-4:]}", "headers": {"X-Key": f"***{typed[-4:]}"}}


@pytest.mark.parametrize("reference", ["env:OPENAI_API_KEY", "env:KEY_OF_2024", "env:key", "file:~/key", "keyring:a/b"])
def test_a_reference_is_shown(reference: str) -> None:
    """It says where the value is, which whoever keeps it must see."""
    assert masked({"api_key": reference}, [FormField("api_key", "secret-input")]) == {"api_key": reference}
