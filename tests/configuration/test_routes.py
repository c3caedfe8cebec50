"""Deployments and routes: what their names mean, where routes lead, and what cannot be."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.configuration.problems import SettingsInvalid
from modelhub.configuration.settings import read_settings

NOTHING: Mapping[str, str] = {}
FAST = {"fast": {"target": "acme/large"}}


def said(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the paths and messages of what is wrong."""
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(config, NOTHING)
    return [(each.path, each.message) for each in caught.value.problems]


@pytest.mark.parametrize(
    ("table", "target", "provider", "model", "credential"),
    [
        ({"target": "acme/large"}, "acme/large", "acme", "large", None),
        ({"target": "acme/v/large"}, "acme/v/large", "acme", "v/large", None),
        ({"target": "acme"}, "acme", "acme", "", None),
        ({"target": "acme/large#eu"}, "acme/large", "acme", "large", "eu"),
        ({"target": "acme/large", "credential": "eu"}, "acme/large", "acme", "large", "eu"),
        ({"provider": "acme", "model": "large"}, "acme/large", "acme", "large", None),
        ({"provider": "acme", "model": "v/large"}, "acme/v/large", "acme", "v/large", None),
        ({"provider": "acme"}, "acme", "acme", "", None),
    ],
)
def test_a_deployment_names_its_model_in_two_ways(
    table: dict[str, Any], target: str, provider: str, model: str, credential: str | None
) -> None:
    """By a target, or by provider and model; both are read into all three."""
    found = read_settings({"deployments": {"fast": table}}, NOTHING).deployments["fast"]
    assert (found.target, found.provider, found.model, found.credential) == (target, provider, model, credential)


def test_a_deployment_has_what_its_calls_have() -> None:
    """Weight, parameters, vendor parameters, a limit of time; and defaults of all of them."""
    given = {
        "target": "acme/large",
        "weight": 2.5,
        "parameters": {"temperature": 0, "stop": ["a"], "reasoning": "low", "seed": 7},
        "vendor": {"acme": {"num_ctx": 8192}},
        "timeout": 30,
    }
    found = read_settings({"deployments": {"fast": given, "slow": {"target": "acme/small"}}}, NOTHING).deployments
    fast, slow = found["fast"], found["slow"]
    assert {name: getattr(fast, name) for name in given} == given
    assert (slow.weight, slow.parameters, slow.vendor, slow.timeout) == (1, {}, {}, None)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, ("deployments.fast", "it names no model")),
        ({"model": "large"}, ("deployments.fast", "it names no model")),
        ("acme/large", ("deployments.fast", "it must be a table, not a text")),
        ({"target": "acme/large", "provider": "acme"}, ("deployments.fast.provider", "it has a target and a provider")),
        ({"target": "acme", "model": "large"}, ("deployments.fast.model", "it has a target and a model")),
        ({"target": "/large"}, ("deployments.fast.target", "it is no provider/model")),
        ({"target": "acme/"}, ("deployments.fast.target", "it is no provider/model")),
        ({"target": "acme/#eu"}, ("deployments.fast.target", "it is no provider/model")),
        ({"target": "#eu"}, ("deployments.fast.target", "it is no provider/model")),
        ({"target": "acme/large#"}, ("deployments.fast.target", "it is no provider/model")),
        ({"provider": "acme/large"}, ("deployments.fast.provider", "it is no provider/model")),
        ({"target": 5}, ("deployments.fast.target", "it must be a text")),
        (
            {"target": "acme/large#eu", "credential": "us"},
            ("deployments.fast.credential", "the target names a credential too"),
        ),
        ({"target": "acme/large", "weight": 0}, ("deployments.fast.weight", "it must be above 0")),
        ({"target": "acme/large", "weight": float("inf")}, ("deployments.fast.weight", "it is inf")),
        ({"target": "acme/large", "timeout": -1}, ("deployments.fast.timeout", "it must be above 0")),
        ({"target": "acme/large", "wieght": 1}, ("deployments.fast.wieght", "unknown key")),
        (
            {"target": "acme/large", "parameters": {"temprature": 1}},
            ("deployments.fast.parameters.temprature", "unknown key"),
        ),
        (
            {"target": "acme/large", "parameters": {"temperature": "0"}},
            ("deployments.fast.parameters.temperature", "it must be a number"),
        ),
        (
            {"target": "acme/large", "parameters": {"stop": ["a", 1]}},
            ("deployments.fast.parameters.stop", "it must be a text"),
        ),
        ({"target": "acme/large", "vendor": {"acme": 1}}, ("deployments.fast.vendor.acme", "it must be a table")),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(table: object, problem: tuple[str, str]) -> None:
    """One thing wrong, one problem."""
    path, message = problem
    ((found_path, found_message),) = said({"deployments": {"fast": table}})
    assert found_path.startswith(path)
    assert message in found_message


@pytest.mark.parametrize("name", ["a/b", "a#b", "a b", "", "a\tb", "a\x00b"])
@pytest.mark.parametrize("kind", ["deployments", "routes"])
def test_names_are_told_from_models(name: str, kind: str) -> None:
    """What has a slash is a model; what has a mark or a space would be mistaken for something else."""
    table = {"target": "acme/large"} if kind == "deployments" else {"targets": ["acme/large"]}
    ((_, message),) = said({kind: {name: table}})
    assert message == "its name is empty, or has a slash, # or space"


@pytest.mark.parametrize(
    "beside",
    [
        {"credentials": {"fast": {"api_key": "env:K"}}},
        {"providers": {"fast": {"extends": "acme"}}},
        {"models": {"fast/large": {"label": "L"}}},
    ],
)
def test_names_are_told_from_providers(beside: dict[str, Any]) -> None:
    """A provider alone stands for its default model."""
    assert said({"deployments": FAST, **beside}) == [("deployments.fast", "a provider has that name")]


def test_a_route_and_a_deployment_have_different_names() -> None:
    """A name leads to one thing."""
    config = {"deployments": FAST, "routes": {"fast": {"targets": ["acme/large"]}}}
    assert said(config) == [("routes.fast", "a deployment has that name")]


def test_a_route_leads_to_groups() -> None:
    """Given as groups, or as targets of which each is a group."""
    routes = {
        "main": {"groups": [["fast", "acme/large#eu"], ["other/model"]]},
        "plain": {"targets": ["fast", "other/model"]},
    }
    found = read_settings({"deployments": FAST, "routes": routes}, NOTHING)
    assert found.routes["main"].groups == [["fast", "acme/large#eu"], ["other/model"]]
    assert found.routes["plain"].groups == [["fast"], ["other/model"]]
    assert found.groups("main") == (("fast", "acme/large#eu"), ("other/model",))


def test_a_route_may_lead_to_routes() -> None:
    """Alone in its group it brings its groups, beside others its deployments; nothing is in a group twice."""
    routes = {
        "main": {"groups": [["fast"], ["a/1", "a/2"]]},
        "behind": {"groups": [["b/1"], ["main"]]},
        "beside": {"groups": [["a/1", "main", "b/1"], ["behind"]]},
    }
    found = read_settings({"deployments": FAST, "routes": routes}, NOTHING)
    assert found.groups("behind") == (("b/1",), ("fast",), ("a/1", "a/2"))
    assert found.groups("beside") == (("a/1", "fast", "a/2", "b/1"), *found.groups("behind"))


@pytest.mark.parametrize(
    ("routes", "problems"),
    [
        ({"main": {}}, [("routes.main", "it names no deployment")]),
        ({"main": {"groups": []}}, [("routes.main", "it names no deployment")]),
        ({"main": {"groups": [["fast"]], "targets": ["fast"]}}, [("routes.main", "it has groups and targets")]),
        ({"main": {"groups": [["fast"], []]}}, [("routes.main.groups[1]", "the group is empty")]),
        ({"main": {"groups": [["fast", "fast"]]}}, [("routes.main.groups[0]", "a name is there twice")]),
        ({"main": {"groups": ["fast"]}}, [("routes.main.groups[0]", "it must be a list")]),
        ({"main": {"targets": "fast"}}, [("routes.main.targets", "it must be a list")]),
        ({"main": {"targets": [1]}}, [("routes.main.targets[0]", "it must be a text")]),
        (
            {"main": {"groups": [["fast"], ["fast", "fsat"]]}},
            [("routes.main.groups[1][1]", "there is no deployment or route 'fsat'")],
        ),
        ({"main": {"targets": [""]}}, [("routes.main.targets[0]", "there is no deployment or route ''")]),
        ({"main": {"targets": ["acme/"]}}, [("routes.main.targets[0]", "it is no provider/model")]),
        ({"main": {"targets": ["acme/large#"]}}, [("routes.main.targets[0]", "it is no provider/model")]),
        ({"main": {"targets": ["main"]}}, [("routes.main", "it leads back to itself: 'main' → 'main'")]),
        (
            {"a": {"targets": ["fast", "b"]}, "b": {"groups": [["fast", "c"]]}, "c": {"targets": ["a"]}},
            [("routes.a", "it leads back to itself: 'a' → 'b' → 'c' → 'a'")],
        ),
    ],
)
def test_a_route_that_leads_nowhere_is_refused(routes: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    """Unknown names, empty groups, circles."""
    assert said({"deployments": FAST, "routes": routes}) == problems


def test_a_name_that_nobody_has_is_answered_with_the_nearest() -> None:
    """Of deployments and routes."""
    with pytest.raises(SettingsInvalid) as caught:
        read_settings({"deployments": FAST, "routes": {"main": {"targets": ["fsat"]}}}, NOTHING)
    assert caught.value.problems[0].remedy == "did you mean 'fast'? A model is written provider/model"


def test_what_there_is_and_how_a_model_is_written_are_two_sentences() -> None:
    """Where no name is near, all of them are told."""
    with pytest.raises(SettingsInvalid) as caught:
        read_settings({"deployments": {"fast": {"target": "a/b"}}, "routes": {"main": {"targets": ["two words"]}}})
    assert caught.value.problems[0].remedy == ("deployments and routes: fast, main. A model is written provider/model")


@pytest.mark.parametrize(
    ("entry", "config", "taken"),
    [
        ("local_model", {}, True),
        ("local_model", {"deployments": {"local": {"target": "a/b"}}}, True),
        ("local_model", {"deployments": {"local_modle": {"target": "a/b"}}}, False),
        ("local_model", {"deployments": {"local_modle": {"target": "local_model/b"}}}, True),
        ("openai", {"deployments": {"openai-eu": {"target": "a/b"}}}, False),
        ("openai", {"deployments": {"openai-eu": {"target": "a/b"}}, "credentials": {"openai": {"k": "v"}}}, True),
        ("openai", {"deployments": {"openai-eu": {"target": "a/b"}}, "models": {"openai/m": {"label": "M"}}}, True),
        ("openai", {"deployments": {"openai-eu": {"target": "a/b"}}, "providers": {"openai": {"extends": "x"}}}, True),
        ("openai#eu", {"credentials": {"openai": [{"id": "eu", "values": {}}]}}, False),
        ("openai ", {}, False),
        ("open ai", {}, False),
    ],
)
def test_a_provider_alone_leads_to_its_default_model(entry: str, config: dict[str, Any], *, taken: bool) -> None:
    """As in a call; what is nearly the name of a deployment was hardly meant as a provider that nothing else names."""
    config = {"routes": {"main": {"groups": [["acme/large", entry]]}}, **config}
    if taken:
        assert read_settings(config, NOTHING).groups("main") == (("acme/large", entry),)
    else:
        assert said(config) == [("routes.main.groups[0][1]", f"there is no deployment or route {entry!r}")]


CREDENTIALS = {"acme": [{"id": "eu", "values": {"api_key": "k"}}, {"api_key": "k"}]}


@pytest.mark.parametrize(
    ("credential", "known"), [("eu", True), ("1", True), ("us", False), ("default", False), ("own", True)]
)
def test_a_credential_must_be_one_where_nothing_else_can_have_it(credential: str, known: bool) -> None:  # noqa: FBT001
    """With the store switched off, those of the settings are all there are; with it, the store may have more."""
    config = {
        "credentials": CREDENTIALS,
        "models": {"acme/large": {"credentials": [{"id": "own", "values": {}}]}},
        "deployments": {"fast": {"target": "acme/large", "credential": credential}},
        "routes": {"main": {"groups": [[f"acme/large#{credential}"]]}},
    }
    assert read_settings(config, NOTHING).deployments["fast"].credential == credential
    without = {**config, "store": {"enabled": False}}
    if known:
        assert read_settings(without, NOTHING).deployments["fast"].credential == credential
        return
    message = f"'acme' has no credential {credential!r}"
    assert said(without) == [("deployments.fast.credential", message), ("routes.main.groups[0][0]", message)]


NAMES = st.sampled_from(["a", "b", "c", "d", "x/1", "x/2"])


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.lists(NAMES, max_size=3, unique=True), max_size=3)))
def test_every_route_that_is_taken_leads_to_deployments(routes: dict[str, list[list[str]]]) -> None:
    """Whatever leads to whatever: either it is refused, or each of its groups has deployments and no route."""
    try:
        found = read_settings({"routes": {name: {"groups": groups} for name, groups in routes.items()}}, NOTHING)
    except SettingsInvalid as error:
        assert error.problems  # noqa: PT017  either is right
        return
    for name in routes:
        groups = found.groups(name)
        assert groups
        assert all(group and all("/" in entry or entry not in routes for entry in group) for group in groups)
