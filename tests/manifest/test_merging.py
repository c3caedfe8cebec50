"""Which layer counts where several say something of a model: the overlay, the plugin, the YAML, the provider."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import ConfigurationError
from modelhub.manifest.merging import merged, overlaid, overlaid_source
from modelhub.types.forms import Condition
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import Deprecation, ModelSchema, ModelType, ProviderSchema, TypeDefaults

RULES = (
    ParameterRule("temperature", type="float", min=0, max=1, label={"en_US": "Temperature"}),
    ParameterRule("top_k", type="int", min=1, show_on=[Condition("mode", in_=["a", "b"])]),
)
MODEL = ModelSchema(
    "large",
    label={"en_US": "Large", "id_ID": "Besar"},
    features=["tool-call"],
    model_properties={"context_size": 8192, "mode": "chat"},
    parameter_rules=RULES,
)


def test_an_overlay_changes_what_it_names_and_nothing_else() -> None:
    """Tables are merged key by key, rules by their name; lists of words are replaced."""
    overlay = {
        "label": {"id_ID": "Raksasa"},
        "model_properties": {"context_size": 32768},
        "features": ["vision"],
        "parameter_rules": [{"name": "temperature", "max": 2}, {"name": "seed", "type": "int"}],
    }
    changed = overlaid(MODEL, overlay, "the overlay")
    assert changed.label == {"en_US": "Large", "id_ID": "Raksasa"}
    assert changed.model_properties == {"context_size": 32768, "mode": "chat"}
    assert list(changed.features or ()) == ["vision"]
    rules = {rule.name: rule for rule in changed.parameter_rules or ()}
    assert list(rules) == ["temperature", "top_k", "seed"]
    assert (rules["temperature"].min, rules["temperature"].max, rules["temperature"].label) == (0, 2, RULES[0].label)
    assert rules["top_k"].show_on == RULES[1].show_on


def test_an_overlay_takes_a_rule_away() -> None:
    """``remove = true`` beside its name."""
    changed = overlaid(MODEL, {"parameter_rules": [{"name": "top_k", "remove": True}]}, "the overlay")
    assert [rule.name for rule in changed.parameter_rules or ()] == ["temperature"]


def test_a_price_is_changed_without_being_repeated() -> None:
    """Only the key that is given; where there was no price, the overlay's is the whole."""
    priced = overlaid(MODEL, {"pricing": {"input": "1", "output": "2", "currency": "EUR"}}, "the overlay")
    changed = overlaid(priced, {"pricing": {"output": "3"}}, "the overlay")
    assert changed.pricing is not None
    assert (str(changed.pricing.input), str(changed.pricing.output), changed.pricing.currency) == ("1", "3", "EUR")


def test_an_overlay_cannot_make_it_another_model() -> None:
    """Its name and type are what calls go by."""
    changed = overlaid(MODEL, {"model": "small", "model_type": "rerank"}, "the overlay")
    assert (changed.model, changed.model_type) == ("large", ModelType.LLM)


def test_an_overlay_that_makes_no_model_is_the_settings_fault() -> None:
    """The error names the table and the key."""
    with pytest.raises(ConfigurationError, match=r'models\."acme/large".*parameter_rules'):
        overlaid(MODEL, {"parameter_rules": [{"min": 1}]}, 'models."acme/large"')


def test_a_plain_label_gets_a_language_beside_it() -> None:
    """A label without a language is English when another language is added."""
    assert overlaid_source({"label": "Large"}, {"label": {"id_ID": "Besar"}})["label"] == {
        "en_US": "Large",
        "id_ID": "Besar",
    }


def test_fields_of_one_variable_are_changed_together() -> None:
    """A form may declare a variable several times, each with its own condition."""
    form = {"credential_form_schemas": [{"variable": "size", "default": "1"}, {"variable": "size", "default": "2"}]}
    changed = overlaid_source(form, {"credential_form_schemas": [{"variable": "size", "max_length": 9}]})
    assert changed["credential_form_schemas"] == [
        {"variable": "size", "default": "1", "max_length": 9},
        {"variable": "size", "default": "2", "max_length": 9},
    ]


def test_what_a_plugin_says_stands_over_the_yaml_and_that_over_the_provider() -> None:
    """Deprecation too: it is written once, in the YAML, and a server that lists the model does not undo it."""
    provider = ProviderSchema("acme", defaults={"llm": TypeDefaults(features=["audio"], parameter_rules=RULES)})
    predefined = ModelSchema("large", features=["tool-call"], deprecation=Deprecation(replacement="larger"))
    found = merged(ModelSchema("large", model_properties={"context_size": 5}), provider, predefined)
    assert list(found.features or ()) == ["tool-call"]
    assert found.deprecation == predefined.deprecation
    assert found.context_size == 5
    assert [rule.name for rule in found.parameter_rules or ()] == ["temperature", "top_k"]


def test_a_models_own_name_of_a_parameter_is_the_only_one() -> None:
    """What the provider has for all its models is not added to a rule that means the same by another name."""
    rules = [ParameterRule("max_tokens"), ParameterRule("seed")]
    provider = ProviderSchema("acme", defaults={"llm": TypeDefaults(parameter_rules=rules)})
    own = [ParameterRule("max_completion_tokens"), ParameterRule("enable_thinking")]
    found = merged(ModelSchema("large", parameter_rules=own), provider)
    assert [rule.name for rule in found.parameter_rules or ()] == ["max_completion_tokens", "enable_thinking", "seed"]


def test_several_rules_for_reasoning_stand_beside_each_other() -> None:
    """A switch of the model's own and a budget of the provider's are no two names of one thing."""
    provider = ProviderSchema(
        "acme", defaults={"llm": TypeDefaults(parameter_rules=[ParameterRule("thinking_budget")])}
    )
    found = merged(ModelSchema("large", parameter_rules=[ParameterRule("enable_thinking")]), provider)
    assert [rule.name for rule in found.parameter_rules or ()] == ["enable_thinking", "thinking_budget"]


TABLES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), TABLES), st.dictionaries(st.sampled_from("abc"), TABLES))
def test_an_overlay_counts_once(source: dict[str, Any], overlay: dict[str, Any]) -> None:
    """Putting it over twice is putting it over once, and an empty one changes nothing."""
    once = overlaid_source(source, overlay)
    assert overlaid_source(once, overlay) == once
    assert overlaid_source(source, {}) == source
