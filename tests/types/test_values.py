"""The small values: usage, progress, labels, credentials, results, events, schemas."""

import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import CredentialsInvalid, Overloaded
from modelhub.types.cost import Cost
from modelhub.types.events import Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.i18n import label_for
from modelhub.types.messages import AssistantMessage, TextPart
from modelhub.types.parameters import ParameterRule
from modelhub.types.plugins import PluginState, ProviderInfo, ValidationReport
from modelhub.types.records import Progress
from modelhub.types.requests import ChatRequest, EmbedRequest
from modelhub.types.results import ChatResult, EmbedResult
from modelhub.types.schema import ModelSchema, ProviderSchema
from modelhub.types.usage import TokenCount, Usage

COUNTS = st.none() | st.integers(0, 10**9)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.booleans())


@given(USAGES, USAGES, USAGES)
def test_usages_add_up_in_any_order(a: Usage, b: Usage, c: Usage) -> None:
    """A figure that any of them lacks is unknown in the sum, and an estimate stays one."""
    assert a.plus(b).plus(c) == a.plus(b.plus(c))
    assert a.plus(b) == b.plus(a)
    assert a.plus(b).estimated is (a.estimated or b.estimated)
    assert (a.plus(b).input_tokens is None) is (a.input_tokens is None or b.input_tokens is None)


def test_a_total_of_something_unknown_is_unknown() -> None:
    """Never less than was used."""
    assert Usage(3, 4).total_tokens == 7
    assert Usage(3, None).total_tokens is None
    assert Usage(None, 4).total_tokens is None


def test_a_cost_has_a_total() -> None:
    """In its own currency, exactly."""
    assert Cost({"input": Decimal("0.1"), "output": Decimal("0.2")}, "IDR").total == Decimal("0.3")


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [
        (Progress("x"), None),
        (Progress("x", 5), None),
        (Progress("x", 5, 0), None),
        (Progress("x", 0, 10), 0.0),
        (Progress("x", 5, 10), 0.5),
        (Progress("x", 11, 10), 1.0),
    ],
)
def test_a_fraction_needs_a_total(progress: Progress, fraction: float | None) -> None:
    """And never passes 1, whatever the server counts."""
    assert progress.fraction == fraction


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("id_ID", "Halo"),
        ("id-id", "Halo"),
        ("id", "Halo"),
        ("id_XX", "Halo"),
        ("en", "Hello"),
        ("en_GB", "Hello"),
        ("fr_FR", "Hello"),
        ("zh_Hans", "你好"),
    ],
)
def test_a_label_is_found_for_any_locale(locale: str, text: str) -> None:
    """The locale, its language, English, in this order."""
    assert label_for({"en_US": "Hello", "id_ID": "Halo", "zh_Hans": "你好"}, locale) == text


def test_a_label_without_english_is_better_than_none() -> None:
    """Any text tells more than nothing does."""
    assert label_for({"id_ID": "Halo"}, "fr_FR") == "Halo"
    assert label_for({"en": "Hello"}) == "Hello"
    assert label_for({}) is None


def test_a_form_field_knows_whether_it_is_secret() -> None:
    """By its type or its role."""
    assert FormField("k", "secret-input").secret
    assert FormField("k", role="secret").secret
    assert FormField("k", role="headers").secret
    assert not FormField("k", role="endpoint").secret


def test_a_report_says_what_is_wrong_with_which_field() -> None:
    """By the form's variables; what belongs to no field stands under the empty name."""
    ValidationReport.of("acme", ("form",), None).raise_for_errors()
    wrong = CredentialsInvalid("x", fields={"api_key": "it is required"})
    report = ValidationReport.of("acme", (), wrong)
    assert (report.ok, report.errors) == (False, {"api_key": "it is required"})
    with pytest.raises(CredentialsInvalid):
        report.raise_for_errors()
    assert ValidationReport.of("acme", ("form",), Overloaded("busy")).errors == {"": "busy"}


def test_states_say_whether_a_provider_can_be_called() -> None:
    """What was only discovered may be called: its code is loaded then."""
    usable = {state for state in PluginState if ProviderInfo("acme", state).usable}
    assert usable == {PluginState.DISCOVERED, PluginState.READY}


def test_a_request_names_its_model() -> None:
    """Once a provider serves it, the name is the provider's own; a list names the first choice."""
    assert ChatRequest[None](model="a/m").name == "a/m"
    assert EmbedRequest(model=("a/m", "b/n")).name == "a/m"


def test_a_result_is_read_off_its_message() -> None:
    """The parts are the truth; text, reasoning and calls are views of them."""
    message = AssistantMessage((TextPart("a"),))
    result = ChatResult[None](message=message, finish_reason=FinishReason.STOP, output=None)
    assert (result.text, result.reasoning, result.tool_calls) == ("a", "", ())
    assert EmbedResult(vectors=[[1.0, 2.0]]).dimensions == 2
    assert EmbedResult(vectors=[]).dimensions == 0
    assert pickle.loads(pickle.dumps(result)) == result


def test_events_have_a_word_to_branch_on() -> None:
    """Consumers need not import the classes."""
    assert (TextDelta(0, "x").type, Finish(FinishReason.STOP).type) == ("text", "finish")


def test_a_rule_is_known_by_its_neutral_name() -> None:
    """The template's name where there is one."""
    assert ParameterRule("num_predict", use_template="max_tokens").neutral == "max_tokens"
    assert ParameterRule("num_ctx").neutral == "num_ctx"


@pytest.mark.parametrize(
    ("properties", "size"), [({}, None), ({"context_size": 8192}, 8192), ({"context_size": "big"}, None)]
)
def test_a_context_size_is_a_number_or_unknown(properties: dict[str, Any], size: int | None) -> None:
    """A manifest that says something else says nothing."""
    assert ModelSchema("m", model_properties=properties).context_size == size


def test_a_provider_without_a_form_has_an_empty_one() -> None:
    """Local providers need no credential."""
    field = FormField("k")
    assert ProviderSchema("acme").form == ()
    assert ProviderSchema("acme", provider_credential_schema=CredentialSchema((field,))).form == (field,)


def test_a_token_count_is_exact_unless_it_says_otherwise() -> None:
    """Estimates are marked."""
    assert TokenCount(3) == TokenCount(3, estimated=False)
