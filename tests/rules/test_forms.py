"""A credential form and the values given become one credential, or every complaint at once; secrets stay inside."""

import copy
import math
import pickle
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import CredentialsInvalid
from modelhub.rules.forms import endpoint_in, filled, layered, model_form, problems
from modelhub.types.credential import Credential
from modelhub.types.forms import (
    Condition,
    CredentialSchema,
    EndpointRule,
    FieldType,
    FormField,
    FormOption,
    ModelCredentialSchema,
)
from modelhub.types.schema import ModelType, ProviderSchema
from modelhub.types.secret import Secret

KEY = FormField("api_key", "secret-input")
URL = FormField(
    "base_url", role="endpoint", default="http://localhost:9", endpoint=EndpointRule("http", 9, strip=("/v1",))
)
HEADERS = FormField("headers", "key-value", role="headers", required=False)


def fill(form: list[FormField], **values: Any) -> Credential:
    """Fill in a form of the provider `acme`."""
    return filled(form, values, provider="acme")


def plain(credential: Credential) -> dict[str, Any]:
    """Return the values of a credential with its secrets, to compare them."""

    def revealed(value: Any) -> Any:
        if isinstance(value, Secret):
            return value.reveal()
        return {name: revealed(each) for name, each in value.items()} if isinstance(value, Mapping) else value

    return {name: revealed(value) for name, value in credential.items()}


def complaints(form: list[FormField], **values: Any) -> Mapping[str, str]:
    """Return what is wrong with which field."""
    with pytest.raises(CredentialsInvalid) as caught:
        fill(form, **values)
    assert "\n" not in str(caught.value)
    return caught.value.fields


def test_a_default_satisfies_required() -> None:
    """What the form says stands where nothing, or nothing but an empty text, is given."""
    assert fill([URL]).endpoint == "http://localhost:9"
    assert fill([URL], base_url="")["base_url"] == "http://localhost:9"
    assert fill([URL], base_url=None).endpoint == "http://localhost:9"


def test_values_are_read_by_their_fields_type() -> None:
    """Texts from an environment and typed values from a file come out alike."""
    form = [
        FormField("on", "switch"),
        FormField("size", "number"),
        FormField("place", "select", options=[FormOption("eu"), FormOption("us")]),
        FormField("name"),
        HEADERS,
    ]
    for given_values in (
        {"on": "yes", "size": "2", "place": "eu", "name": " acme ", "headers": "X-A: 1\nX-B: a:b"},
        {"on": True, "size": 2, "place": "eu", "name": "acme", "headers": {"X-A": "1", "X-B": "a:b"}},
        {"on": "1", "size": 2.0, "place": "eu", "name": "acme", "headers": '{"X-A": "1", "X-B": "a:b"}'},
    ):
        assert plain(fill(form, **given_values)) == {
            "on": True,
            "size": 2,
            "place": "eu",
            "name": "acme",
            "headers": {"X-A": "1", "X-B": "a:b"},
        }


def test_false_and_zero_are_values() -> None:
    """A switch that is off and a number that is nought are filled in."""
    assert plain(fill([FormField("on", "switch"), FormField("size", "number")], on=False, size=0)) == {
        "on": False,
        "size": 0,
    }
    assert fill([FormField("on", "switch", default=True)], on=False)["on"] is False
    assert fill([FormField("size", "number")], size=10**400)["size"] == 10**400


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (FormField("x"), ["a"], "it must be a text, not a list"),
        (FormField("x"), {"a": "b"}, "it must be a text, not an object"),
        (FormField("x"), math.nan, "it must be a finite number"),
        (FormField("x", max_length=3), "abcd", "it must have 3 characters or fewer"),
        (KEY, "a\nb", "it has a line break or another control character in it"),
        (FormField("x", "switch"), "maybe", "it must be true or false"),
        (FormField("x", "number"), "many", "it must be a number"),
        (FormField("x", "number"), True, "it must be a number"),
        (FormField("x", "number"), "nan", "it must be a finite number"),
        (FormField("x", "number"), "1e999", "it must be a finite number"),
        (FormField("x", "number"), math.inf, "it must be a finite number"),
        (FormField("x", "select", options=[FormOption("a"), FormOption("b")]), "c", "it must be one of a, b"),
        (FormField("x", "radio", options=[FormOption("true")]), False, "it must be one of true"),
        (HEADERS, "X-A", "each line must be name: value"),
        (HEADERS, "{", "it is no JSON object"),
        (HEADERS, '{"a":' * 100_000, "it is no JSON object"),
        (HEADERS, ["X-A"], "it must be names with texts"),
        (FormField("x"), None, "it is required"),
        (FormField("x"), "", "it is required"),
    ],
)
def test_a_value_that_its_field_does_not_take_is_a_complaint(field: FormField, value: Any, complaint: str) -> None:
    """The complaint says what the field takes and does not repeat the value."""
    assert complaints([field], **{field.variable: value}) == {field.variable: complaint}


def test_all_complaints_come_at_once() -> None:
    """Unknown names with the nearest ones, missing values, wrong values and a wrong URL: one error."""
    form = [URL, KEY, FormField("size", "number"), FormField("team")]
    found = complaints(form, base_url="http://h:0", apikey="s3cr3t", size="many")
    assert found.keys() == {"base_url", "apikey", "api_key", "size", "team"}
    assert found["apikey"] == "did you mean 'api_key'?"
    assert found["api_key"] == "it is required"
    assert "port 0 cannot be called" in found["base_url"]
    with pytest.raises(CredentialsInvalid, match="provider 'acme'") as caught:
        fill(form, size="many")
    assert all(name in caught.value.message for name in ("api_key", "size", "team"))


def test_an_unknown_field_of_an_empty_form_says_that_there_are_none() -> None:
    """A provider without a form takes nothing."""
    assert complaints([], api_key="s3cr3t") == {"api_key": "there are no fields"}


def test_a_field_that_is_not_shown_is_neither_wanted_nor_taken() -> None:
    """The value of another field decides; what stands in a hidden field does not reach the plugin."""
    form = [
        FormField("kind", "select", options=[FormOption("key"), FormOption("token")], default="key"),
        FormField("api_key", "secret-input", show_on=[Condition("kind", "key")]),
        FormField("token", "secret-input", show_on=[Condition("kind", "token")]),
    ]
    assert plain(fill(form, api_key="k")) == {"kind": "key", "api_key": "k"}
    assert plain(fill(form, kind="token", token="t", api_key="k")) == {"kind": "token", "token": "t"}
    assert complaints(form, kind="token", api_key="k") == {"token": "it is required"}


def test_a_switch_shows_fields_by_the_words_of_manifests() -> None:
    """A switch that is on is `true`, however it was given."""
    form = [
        FormField("proxied", "switch", default=False),
        FormField("proxy", show_on=[Condition("proxied", "true")]),
        FormField("reason", show_on=[Condition("proxied", "false")], required=False),
    ]
    for value in (True, "true", "yes", "1"):
        assert complaints(form, proxied=value) == {"proxy": "it is required"}
    assert plain(fill(form, reason="r")) == {"proxied": False, "reason": "r"}


def test_a_field_may_depend_on_one_further_down() -> None:
    """A value or default counts wherever its field stands."""
    form = [
        FormField("token", show_on=[Condition("kind", "token")]),
        FormField("kind", "select", options=[FormOption("key"), FormOption("token")], default="token"),
    ]
    assert complaints(form) == {"token": "it is required"}
    assert plain(fill(form, kind="key")) == {"kind": "key"}


def test_what_a_hidden_field_holds_shows_nothing() -> None:
    """A condition on a field that is itself hidden is not met."""
    form = [
        FormField("kind", default="key"),
        FormField("flavour", show_on=[Condition("kind", "token")], required=False),
        FormField("token", show_on=[Condition("flavour", "long")]),
    ]
    assert plain(fill(form, flavour="long")) == {"kind": "key"}
    assert complaints(form, kind="token", flavour="long") == {"token": "it is required"}


def test_one_variable_may_have_several_fields_of_which_one_is_shown() -> None:
    """Manifests describe one value in two ways, for two cases."""
    form = [
        FormField("kind", default="a"),
        FormField("value", "number", show_on=[Condition("kind", "a")]),
        FormField("value", "switch", show_on=[Condition("kind", "b")]),
    ]
    assert fill(form, value="1")["value"] == 1
    assert fill(form, kind="b", value="1")["value"] is True


def test_the_endpoint_is_read_by_the_fields_rule() -> None:
    """The credential carries the base URL ready to be joined to."""
    credential = fill([URL], base_url="host/proxy/v1/")
    assert credential.endpoint == "http://host:9/proxy"
    endpoint = endpoint_in(credential)
    assert endpoint is not None
    assert endpoint.url == credential.endpoint
    assert endpoint_in(fill([KEY], api_key="k")) is None


WHERE = [
    FormField("base_url", default="http://home.example", role="endpoint", endpoint=EndpointRule("http")),
    FormField("kind", required=False),
    FormField("api_key", "secret-input", required=False),
]


@pytest.mark.parametrize(
    ("trusted", "values", "tenant"),
    [
        (None, {"base_url": "http://a"}, False),
        ({}, {}, False),
        ({}, {"api_key": "k"}, False),
        ({}, {"base_url": "http://a"}, True),
        ({}, {"base_url": "http://home.example/"}, False),
        ({"base_url": "http://a"}, {"base_url": "http://A:80/"}, False),
        ({"base_url": "http://a"}, {"base_url": "http://a/admin"}, True),
        ({"base_url": "http://a"}, {"base_url": "https://a"}, True),
        ({"base_url": "http://a"}, {"base_url": ""}, True),
        ({"base_url": "no url"}, {"base_url": "http://a"}, True),
    ],
)
def test_a_base_url_is_a_users_where_the_operator_alone_would_have_another(
    trusted: dict[str, Any] | None, values: dict[str, Any], *, tenant: bool
) -> None:
    """The very same one stays the operator's, however it is written; a key of one's own changes nothing."""
    credential = filled(WHERE, values, provider="p", trusted=trusted)
    assert (credential.tenant_endpoint, credential.endpoint_field) == (tenant, "base_url")


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    """Neither by the complaint nor by what the exception is chained to."""
    with pytest.raises(CredentialsInvalid) as caught:
        fill([URL], base_url="http://me:s3cr3t@host")
    assert "s3cr3t" not in str(caught.value)
    chain = [caught.value.__cause__, caught.value.__context__]
    assert all(each is None or "s3cr3t" not in str(each) for each in chain)


SECRET = "sk-s3cr3t-0123456789"


@pytest.mark.parametrize("field", [KEY, FormField("api_key", role="secret"), FormField("api_key", role="headers")])
def test_a_secret_is_shown_nowhere(field: FormField) -> None:
    """Neither by repr nor str, nor by copies, nor by a complaint about another field."""
    form = [FormField("name", required=False), field]
    value: Any = {"X-Key": SECRET} if field.role == "headers" else SECRET
    field = FormField("api_key", "key-value", role="headers") if field.role == "headers" else field
    form = [FormField("name", required=False), field]
    credential = fill(form, api_key=value, name="n")
    assert SECRET not in repr(credential) + str(credential) + f"{credential}"
    assert [secret.reveal() for secret in credential.secrets] == [SECRET]
    assert "name='n'" in repr(credential)
    with pytest.raises(CredentialsInvalid) as caught:
        fill(form, api_key=value, name=["x"])
    message = "".join(traceback.format_exception_only(caught.value)) + repr(pickle.dumps(caught.value))
    assert SECRET not in message


def test_a_credential_cannot_be_pickled_or_copied_by_accident() -> None:
    """It holds secrets, which a cache or another process must not get."""
    credential = fill([KEY], api_key=SECRET)
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled") as caught:
            act(credential)
        assert SECRET not in str(caught.value)


def test_a_key_that_may_be_a_secret_is_not_repeated() -> None:
    """A pasted value in the place of a name is told by its length alone; names that are near a field's are repeated."""
    keys = ("sk-proj-0123456789", "AKIAIOSFODNN7EXAMPLE", "my secret", "x" * 30, "550e8400-e29b-41d4-a716-446655440000")
    with pytest.raises(CredentialsInvalid) as caught:
        filled([KEY], {**dict.fromkeys(keys, "v"), "apikey": "v", "team": "v"}, provider="acme")
    message = str(caught.value) + repr(caught.value.fields) + repr(caught.value.problems)
    assert not any(key in message for key in keys)
    assert caught.value.fields["apikey"] == "did you mean 'api_key'?"
    assert caught.value.fields["team"] == "fields: api_key"
    unknown = [problem for problem in caught.value.problems if problem.code == "unknown_key"]
    assert [problem.params["limit"] for problem in unknown] == [len(key) for key in keys]
    assert len({problem.path for problem in unknown}) == len(keys)


def test_complaints_have_codes_labels_and_languages() -> None:
    """The error holds them as values, in the form's order; its text is the English one."""
    labels = {"en_US": "Key", "id_ID": "Kunci"}
    form = [FormField("api_key", "secret-input", labels), FormField("base_url", role="endpoint")]
    with pytest.raises(CredentialsInvalid) as caught:
        fill(form, base_url="http://example:0")
    key, url = caught.value.problems
    assert (key.path, key.code, key.label("id"), key.text("id")) == ("api_key", "required", "Kunci", "wajib diisi")
    assert url.text("id") == "bukan URL dasar: porta 0 tidak dapat dihubungi (contoh: http://host:port)"
    assert "example" not in str(caught.value)
    assert caught.value.fields == {problem.path: problem.message for problem in (key, url)}
    copy_of_it = pickle.loads(pickle.dumps(caught.value))
    assert copy_of_it.problems == caught.value.problems


def test_several_complaints_of_one_path_stand_together() -> None:
    """None hides another in `fields`."""
    form = [FormField("kind", default="k"), FormField("models", "multi-select", options=[FormOption("a")])]
    assert complaints(form, models=["x", "y"]).keys() == {"models[0]", "models[1]"}


def test_no_complaint_repeats_a_value() -> None:
    """Whatever the type, and wherever in the value."""
    form = [FormField(kind, kind, options=[FormOption("a")], max_length=2) for kind in get_args(FieldType)]
    for value in (SECRET, [SECRET], {SECRET: SECRET}, f"{SECRET}\x00", f"https://{SECRET}@h", {"X-A": f"{SECRET}\n"}):
        found = problems(form, dict.fromkeys(get_args(FieldType), value))
        assert found
        assert SECRET not in repr(found) + "".join(problem.text(locale) for problem in found for locale in ("en", "id"))


PROVIDER = ProviderSchema(
    "acme",
    provider_credential_schema=CredentialSchema([KEY, FormField("region", default="eu")]),
    model_credential_schema=ModelCredentialSchema(
        credential_form_schemas=[
            FormField("region", "select", options=[FormOption("eu"), FormOption("us")], required=False),
            FormField("context_size", "number", default="4096", show_on=[Condition("__model_type", "llm")]),
        ]
    ),
)


def test_a_models_form_is_the_providers_and_its_own() -> None:
    """Its own variables stand in place of the provider's; values of the provider's are inherited."""
    form = model_form(PROVIDER)
    assert [(field.variable, field.type) for field in form] == [
        ("api_key", "secret-input"),
        ("region", "select"),
        ("context_size", "number"),
    ]
    values = layered(form, {"api_key": "k", "region": "eu"}, {"region": "us"})
    credential = filled(form, values, provider="acme", model_type=ModelType.LLM)
    assert plain(credential) == {"api_key": "k", "region": "us", "context_size": 4096}
    assert model_form(ProviderSchema("acme")) == []


def test_one_variable_of_a_models_form_may_have_several_fields() -> None:
    """All of them stay, in order, and none of the provider's of that name."""
    sizes = [
        FormField("size", show_on=[Condition("__model_type", kind.value)]) for kind in (ModelType.LLM, ModelType.TTS)
    ]
    schema = replace(
        PROVIDER,
        provider_credential_schema=CredentialSchema([FormField("size")]),
        model_credential_schema=ModelCredentialSchema(credential_form_schemas=sizes),
    )
    assert model_form(schema) == sizes


@pytest.mark.parametrize(
    ("field", "value", "taken"),
    [
        (FormField("x"), True, "true"),
        (FormField("x"), 5, "5"),
        (FormField("x", "switch"), "false", False),
        (FormField("x", "switch"), False, False),
        (FormField("x", default="d"), None, "d"),
        (FormField("x", default="d"), "", "d"),
    ],
)
def test_what_other_hosts_refuse_or_lose_is_taken(field: FormField, value: Any, taken: Any) -> None:
    """JSON values in text fields, a switch that is off, and a required field that has a default."""
    assert fill([field], x=value)["x"] == taken
    assert type(fill([field], x=value)["x"]) is type(taken)


def test_what_other_hosts_drop_is_a_complaint() -> None:
    """An unknown key and a wrong value say so; only what is empty counts as not given."""
    assert complaints([KEY], api_key="k", region="eu") == {"region": "fields: api_key"}
    assert fill([KEY, FormField("x", required=False)], api_key="k", x="").keys() == {"api_key"}


def test_filling_in_changes_nothing_of_the_callers() -> None:
    """The values given stay as they were, the model's type is not put among them, and the same dict serves again."""
    values = {"api_key": "k", "region": "us"}
    for kind in (ModelType.LLM, ModelType.TTS, None):
        filled(model_form(PROVIDER), values, provider="acme", model_type=kind)
        assert values == {"api_key": "k", "region": "us"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CONDITIONS = st.recursive(
    st.builds(
        Condition,
        st.sampled_from(["a", "b", "c", "d", "__model_type", None]),
        st.none() | st.sampled_from(["x", "true", 1, True]),
        exists=st.none() | st.booleans(),
        in_=st.none() | st.lists(st.sampled_from([None, "x", "1", 2]), max_size=2),
    ),
    lambda inner: st.builds(
        Condition,
        any=st.none() | st.lists(inner, max_size=2),
        all=st.none() | st.lists(inner, max_size=2),
        not_=st.none() | inner,
    ),
    max_leaves=3,
)
SHOWN = st.lists(CONDITIONS, max_size=1)
FORMS = st.lists(
    st.builds(
        FormField,
        st.sampled_from("abcd"),
        st.sampled_from([*get_args(FieldType), "something-new"]),
        required=st.booleans(),
        default=st.none() | st.text(max_size=4) | VALUES,
        options=st.lists(st.builds(FormOption, st.sampled_from(["x", "1", "true"]), show_on=SHOWN), max_size=3),
        max_length=st.integers(0, 3),
        show_on=SHOWN,
        role=st.sampled_from([None, "endpoint", "secret", "option", "headers"]),
        min=st.none() | st.just(0),
        max=st.none() | st.just(9.5),
    ),
    max_size=4,
)


@given(FORMS, st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=4), st.none() | st.sampled_from(ModelType))
def test_any_form_and_any_values_give_a_credential_or_complaints(
    form: list[FormField], values: dict[str, Any], model_type: ModelType | None
) -> None:
    """Nothing else is raised, and filling in what came out changes nothing."""
    found = problems(form, values, model_type=model_type)
    try:
        credential = filled(form, values, provider="acme", model_type=model_type)
    except CredentialsInvalid as error:
        assert list(error.problems) == found  # noqa: PT017  either will do
        assert error.fields.keys() == {problem.path for problem in found}  # noqa: PT017
        assert all(problem.text(locale) for problem in found for locale in ("en", "id"))
        return
    assert not found
    assert set(credential) <= {field.variable for field in form}
    again = filled(form, credential, provider="acme", model_type=model_type)
    assert dict(again) == dict(credential)


REGIONS = (
    FormField("region", "select", default="eu", options=[FormOption("eu"), FormOption("us"), FormOption("own")]),
    FormField("base_url", role="endpoint", default="https://eu.example", show_on=[Condition("region", "eu")]),
    FormField("base_url", role="endpoint", default="https://us.example", show_on=[Condition("region", "us")]),
    FormField("own_url", "url", role="endpoint", show_on=[Condition("region", "own")]),
    FormField("api_key", "secret-input"),
)


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ({}, {"region": "us"}),
        ({"region": "us"}, {"region": ""}),
        ({"base_url": "https://mine.example"}, {"base_url": ""}),
        ({"base_url": "https://mine.example"}, {"base_url": None}),
        ({"region": "own"}, {"own_url": "none"}),
        ({"region": "own", "own_url": "https://mine.example"}, {"region": "eu"}),
        ({"base_url": "https://mine.example"}, {"base_url": "https://mine.example:8443"}),
        ({"base_url": "https://mine.example"}, {"base_url": "http://mine.example"}),
        ({"base_url": "https://mine.example"}, {"base_url": "no url at all"}),
    ],
)
def test_a_secret_stays_with_the_server_that_it_was_given_for(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Another URL, none where there is a default, or a choice that shows another field: it does not come along."""
    assert "api_key" not in layered(REGIONS, {**below, "api_key": "k"}, above)
    assert layered(REGIONS, {**below, "api_key": "k"}, {**above, "api_key": "own"})["api_key"] == "own"


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ({}, {"region": "eu"}),
        ({}, {"base_url": "https://eu.example/prefix"}),
        ({"base_url": "https://mine.example"}, {"region": "eu"}),
        ({"base_url": "https://eu.example"}, {"base_url": ""}),
    ],
)
def test_a_secret_comes_along_to_the_same_server(below: dict[str, Any], above: dict[str, Any]) -> None:
    """However that is said."""
    assert layered(REGIONS, {**below, "api_key": "k"}, above)["api_key"] == "k"
