"""The tables of routing, egress and sharing, and limits of credentials: what they take, and what is refused."""

import math
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.configuration.credentials import CredentialSource, credential_sources
from modelhub.configuration.description import described
from modelhub.configuration.environment import setting_variables
from modelhub.configuration.problems import SettingsInvalid
from modelhub.configuration.settings import read_settings
from modelhub.configuration.sharing import shared_url
from modelhub.configuration.tables import BudgetTable, EgressTable, RoutingTable, SharingTable
from modelhub.errors import ConfigurationError
from modelhub.provider.threads import run_in_thread
from modelhub.types.forms import FormField

PASSWORD = "s3cr3t-of-redis"
URL = f"redis://:{PASSWORD}@cache:6379/0"


def said(config: dict[str, Any], environ: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Return path and message of what is wrong."""
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(config, environ or {})
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return [(each.path, each.message) for each in caught.value.problems]


def test_without_tables_the_defaults_hold() -> None:
    """They are those of the documentation."""
    found = read_settings({}, {})
    assert (found.routing, found.egress, found.sharing) == (RoutingTable(), EgressTable(), SharingTable())
    assert (found.routing.pick, found.routing.retries, found.routing.hedge) == ("adaptive", 2, False)
    assert found.sharing.redis is None


def test_the_tables_are_read() -> None:
    """Every key of them."""
    routing = {
        "pick": "sticky",
        "retries": 0,
        "retry_budget": 1,
        "retry_floor": 0,
        "eject_after": 1,
        "eject_seconds": 0.5,
        "eject_longest": 0.5,
        "panic": False,
        "probe_seconds": 0,
        "probe_waiting": 0,
        "hedge": True,
        "queue": 0,
        "concurrency": 1,
    }
    egress = {"allow": ["10.1.0.0/16", "fd00::/8", "127.0.0.1", "[::1]", "gpu.internal", "GPU", "my_host."]}
    sharing = {"redis": URL, "namespace": "team:a-1.b_c"}
    found = read_settings({"routing": routing, "egress": egress, "sharing": sharing}, {})
    assert found.routing == RoutingTable(**routing)
    assert found.egress.allow == egress["allow"]
    assert (found.sharing.redis, found.sharing.namespace) == (URL, "team:a-1.b_c")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"pick": "fastest"}, ("pick", "it must be 'adaptive', 'weighted', 'round_robin', 'priority', 'sticky'")),
        ({"retries": -1}, ("retries", "it must be 0 or more")),
        ({"retries": 1.5}, ("retries", "it must be a whole number")),
        ({"retry_budget": 1.5}, ("retry_budget", "it must be from 0 to 1")),
        ({"retry_budget": -0.1}, ("retry_budget", "it must be from 0 to 1")),
        ({"retry_budget": math.nan}, ("retry_budget", "it must be from 0 to 1")),
        ({"retry_floor": -1}, ("retry_floor", "it must be 0 or more")),
        ({"eject_after": 0}, ("eject_after", "it must be 1 or more")),
        ({"eject_seconds": 0}, ("eject_seconds", "it must be above 0")),
        ({"eject_longest": math.inf}, ("eject_longest", "it is inf")),
        ({"eject_longest": 4}, ("eject_longest", "eject_longest is below eject_seconds")),
        ({"eject_seconds": 301}, ("eject_seconds", "eject_longest is below eject_seconds")),
        ({"eject_seconds": 9, "eject_longest": 8}, ("eject_longest", "eject_longest is below eject_seconds")),
        ({"panic": 1}, ("panic", "it must be true or false")),
        ({"probe_seconds": -1}, ("probe_seconds", "it must be 0 or more")),
        ({"probe_waiting": math.nan}, ("probe_waiting", "it must be 0 or more")),
        ({"probe_waiting": math.inf}, ("probe_waiting", "it is inf")),
        ({"queue": -1}, ("queue", "it must be 0 or more")),
        ({"concurrency": 0}, ("concurrency", "it must be 1 or more")),
        ({"retires": 1}, ("retires", "unknown key")),
    ],
)
def test_a_key_of_routing_that_cannot_be_is_refused(table: dict[str, Any], problem: tuple[str, str]) -> None:
    """By its place, and once."""
    ((path, message),) = said({"routing": table})
    assert path == f"routing.{problem[0]}"
    assert message.startswith(problem[1])


def test_of_a_table_with_a_wrong_key_nothing_else_is_said() -> None:
    """The default would stand in for it, and nobody wrote that."""
    assert said({"routing": {"eject_longest": "x", "eject_seconds": 600}}) == [
        ("routing.eject_longest", "it must be a number")
    ]


def test_the_environment_is_looked_at_beside_the_file() -> None:
    """A key of one may not go with a key of the other; the variable is named."""
    file = {"routing": {"eject_longest": 10}}
    (problem,) = said(file, {"MODELHUB_ROUTING_EJECT_SECONDS": "20"})
    assert problem == ("MODELHUB_ROUTING_EJECT_SECONDS", "eject_longest is below eject_seconds")
    (problem,) = said(file, {"MODELHUB_ROUTING_EJECT_LONGEST": "2", "MODELHUB_ROUTING_RETRIES": "1"})
    assert problem == ("MODELHUB_ROUTING_EJECT_LONGEST", "eject_longest is below eject_seconds")
    assert said({}, {"MODELHUB_EGRESS_ALLOW": "gpu, a b"}) == [("MODELHUB_EGRESS_ALLOW", "it is no host")]
    assert said({}, {"MODELHUB_SHARING_REDIS": PASSWORD})[0][0] == "MODELHUB_SHARING_REDIS"
    found = read_settings(file, {"MODELHUB_ROUTING_EJECT_SECONDS": "2", "MODELHUB_EGRESS_ALLOW": "a, 10.0.0.0/8"})
    assert (found.routing.eject_seconds, found.routing.eject_longest) == (2, 10)
    assert found.egress.allow == ["a", "10.0.0.0/8"]
    assert found.overridden["egress", "allow"] == "MODELHUB_EGRESS_ALLOW"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("https://gpu.internal", "it is a URL"),
        ("user@gpu.internal", "it is a URL"),
        ("gpu.internal:8080", "it is no host"),
        ("10.0.0.1:80", "it is no host"),
        ("", "it is no host"),
        ("a b", "it is no host"),
        ("*.internal", "it is no host"),
        ("1.2.3", "it is no host"),
        ("10.0.0.256", "it is no host"),
        ("10.1.2.0/16", "its address has bits beyond the length of its prefix"),
        ("10.0.0.0/33", "it is no network"),
        ("gpu.internal/24", "it is no network"),
    ],
)
def test_what_is_neither_a_network_nor_a_host_is_refused(entry: str, message: str) -> None:
    """By its number in the list, with what may stand there."""
    assert said({"egress": {"allow": ["gpu", entry]}}) == [("egress.allow[1]", message)]


@pytest.mark.parametrize(
    "url", ["rediss://cache", "unix:///run/redis.sock", "env:REDIS_URL", "keyring:a/b", "file:url"]
)
def test_a_server_to_share_with_is_a_url_or_a_reference(url: str) -> None:
    """What it is is looked at again once it was read."""
    assert read_settings({"sharing": {"redis": url}}, {}).sharing.redis == url


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"redis": PASSWORD}, "sharing.redis"),
        ({"redis": f"http://:{PASSWORD}@cache"}, "sharing.redis"),
        ({"redis": "redis://"}, "sharing.redis"),
        ({"namespace": f"{PASSWORD} x"}, "sharing.namespace"),
        ({"namespace": ""}, "sharing.namespace"),
        ({"namespace": "a\n"}, "sharing.namespace"),
    ],
)
def test_what_cannot_be_shared_with_is_refused_unseen(table: dict[str, Any], path: str) -> None:
    """The value may be a password."""
    ((found, _message),) = said({"sharing": table})
    assert found == path


def test_the_servers_password_is_shown_nowhere() -> None:
    """Neither by the settings nor by those who show them."""
    settings = read_settings({"sharing": {"redis": URL}}, {})
    assert PASSWORD not in f"{settings!r} {settings.sharing!r}"
    shown = {each.path: each.value for each in described(settings, {}, {})}
    assert PASSWORD not in f"{shown}"
    assert shown["sharing.namespace"] == "modelhub"
    referring = read_settings({"sharing": {"redis": "env:REDIS_URL"}}, {})
    assert {each.path: each.value for each in described(referring, {}, {})}["sharing.redis"] == "env:REDIS_URL"


@pytest.mark.anyio
async def test_the_servers_url_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the settings, a variable, or a file beside them; without the key nothing is shared."""
    monkeypatch.setenv("REDIS_URL", f" {URL} ")
    (tmp_path / "url").write_text(f"{URL}\n")
    (tmp_path / "url").chmod(0o600)
    (tmp_path / "m.toml").write_text('[sharing]\nredis = "file:url"')
    assert await shared_url(read_settings({}, {})) is None
    for config in (tmp_path / "m.toml", {"sharing": {"redis": URL}}, {"sharing": {"redis": "env:REDIS_URL"}}):
        found = await shared_url(await run_in_thread(partial(read_settings, config, {}), name="settings"))
        assert found is not None
        assert found.reveal() == URL
        assert PASSWORD not in repr(found)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (f"http://{PASSWORD}", "it leads to no URL that begins with redis://, rediss:// or unix://"),
        (None, "the environment variable REDIS_URL is not set"),
    ],
)
async def test_what_leads_to_no_server_is_refused_unseen(
    value: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With where it was said."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("REDIS_URL", value)
    with pytest.raises(ConfigurationError) as caught:
        await shared_url(read_settings({}, {"MODELHUB_SHARING_REDIS": "env:REDIS_URL"}))
    assert caught.value.message == f"MODELHUB_SHARING_REDIS: [sharing] redis cannot be used: {why}"
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert PASSWORD not in f"{caught.value} {[each.locals for each in frames.stack if 'src' in each.filename]}"


def test_credentials_may_have_limits() -> None:
    """Of requests, tokens, calls at once, and money."""
    row = {"id": "a", "values": {}, "rpm": 60, "tpm": 0.5, "concurrency": 2, "budget": {"amount": 50, "per": "day"}}
    (source,) = credential_sources(row, "acme")
    assert source == CredentialSource(
        {}, "a", rpm=60, tpm=0.5, concurrency=2, budget=BudgetTable(amount=50, currency="USD", per="day")
    )
    (bare,) = credential_sources({"id": "a", "values": {}}, "acme")
    assert (bare.rpm, bare.tpm, bare.concurrency, bare.budget) == (None, None, None, None)
    (idr,) = credential_sources({"values": {}, "budget": {"amount": 0.5, "per": "month", "currency": "IDR"}}, "acme")
    assert idr.budget == BudgetTable(0.5, "IDR", "month")


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"rpm": 0}, ("rpm", "it must be above 0")),
        ({"rpm": math.inf}, ("rpm", "it is inf")),
        ({"tpm": "many"}, ("tpm", "it must be a number")),
        ({"concurrency": 0}, ("concurrency", "it must be 1 or more")),
        ({"concurrency": 1.5}, ("concurrency", "it must be a whole number")),
        ({"budget": 50}, ("budget", "it must be a table, not a number")),
        ({"budget": {"per": "day"}}, ("budget", "amount is missing")),
        ({"budget": {"amount": 5}}, ("budget", "per is missing")),
        ({"budget": {"amount": 0, "per": "day"}}, ("budget.amount", "it must be above 0")),
        ({"budget": {"amount": 5, "per": "week"}}, ("budget.per", "it must be 'minute', 'hour', 'day' or 'month'")),
        (
            {"budget": {"amount": 5, "per": "day", "currency": "usd"}},
            ("budget.currency", "it must be three capitals, such as USD"),
        ),
        ({"budget": {"amount": 5, "per": "day", "curency": "USD"}}, ("budget.curency", "unknown key")),
    ],
)
def test_a_limit_that_cannot_be_is_refused(limits: dict[str, Any], problem: tuple[str, str]) -> None:
    """In a named credential of a provider, and of a model."""
    row = {"values": {"api_key": PASSWORD}, **limits}
    message = f"of credential 0 of 'acme', {problem[1]}"
    assert said({"credentials": {"acme": row}}) == [(f"credentials.acme.{problem[0]}", message)]
    assert said({"credentials": {"acme": [row]}}) == [(f"credentials.acme[0].{problem[0]}", message)]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rpm", 0, "it must be above 0"),
        ("tpm", math.inf, "it is inf"),
        ("concurrency", 0, "it must be 1 or more"),
        ("concurrency", "2", "it must be a whole number"),
    ],
)
def test_a_limit_of_a_deployment_that_cannot_be_is_refused(key: str, value: object, message: str) -> None:
    """As of a credential."""
    table = {"target": "acme/large", key: value}
    assert said({"deployments": {"fast": table}}) == [(f"deployments.fast.{key}", message)]


def test_a_deployment_may_have_limits() -> None:
    """Beside its credential's."""
    table = {"target": "acme/large", "rpm": 60, "tpm": 1000.5, "concurrency": 3}
    found = read_settings({"deployments": {"fast": table}}, {}).deployments["fast"]
    assert (found.rpm, found.tpm, found.concurrency) == (60, 1000.5, 3)


def test_each_group_is_picked_from_as_its_route_says() -> None:
    """Else as the route that leads there says, else as the table does."""
    routes = {
        "nodes": {"groups": [["a/x", "b/x"]], "pick": "adaptive"},
        "paid": {"groups": [["c/x", "d/x"]]},
        "main": {"groups": [["nodes"], ["paid"], ["e/x", "nodes"]], "pick": "priority"},
        "plain": {"groups": [["nodes"], ["paid"]]},
    }
    found = read_settings({"routing": {"pick": "weighted"}, "routes": routes}, {})
    assert found.groups("main") == (("a/x", "b/x"), ("c/x", "d/x"), ("e/x", "a/x", "b/x"))
    assert found.picks("main") == ("adaptive", "priority", "priority")
    assert found.picks("plain") == ("adaptive", "weighted")
    assert said({"routes": {"r": {"targets": ["a/x"], "pick": "fast"}}})[0][0] == "routes.r.pick"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["http://a:11434", "http://b:11434"], ["a:11434", "b:11434"]),
        (["http://a"], ["a"]),
        (["HTTPS://A.example/v1", "http://[fd00::1]:8080"], ["a.example", "[fd00::1]:8080"]),
        (["http://a/x", "http://a/y", "http://a"], ["a", "a-2", "a-3"]),
        (["http://a", {"id": "a", "values": {}}], ["a-2", "a"]),
        (["http://a", {"base_url": "http://b"}], ["a", "1"]),
        (["env:URL", f"http://user:{PASSWORD}@a"], ["0", "1"]),
        ([f"http://a\\@{PASSWORD}", f"http://{PASSWORD}?x", f"http://a:b{PASSWORD}"], ["0", "1", "2"]),
        ([f"http://{'a' * 300}", "http://b"], ["0", "b"]),
    ],
)
def test_a_base_url_is_named_by_its_host_and_port(given: list[object], names: list[str]) -> None:
    """And by nothing else in it: what is no plain URL is named by its number."""
    found = credential_sources(given, "acme")
    assert [each.id for each in found] == names
    assert PASSWORD not in f"{found}"


@given(st.lists(st.text().map(lambda text: f"http://{text}x"), min_size=1, max_size=5))
def test_names_of_base_urls_are_names(urls: list[str]) -> None:
    """Whatever is in them: each its own, without # and userinfo."""
    try:
        found = credential_sources(urls, "acme")
    except ConfigurationError:
        return
    names = [each.id for each in found]
    assert len(set(names)) == len(names) == len(urls)
    assert all(name and not set(name) & set("#@/\\ ?") for name in names)


def test_base_urls_in_settings_are_shown_without_passwords() -> None:
    """A URL is shown, what has a user name in it is a secret."""
    forms = {"acme": [FormField("base_url", role="endpoint")], "keys": [FormField("key", "secret-input")]}
    rows = ["http://a", f"http://user:{PASSWORD}@b", {"base_url": "http://c"}]
    settings = read_settings({"credentials": {"acme": rows, "keys": [f"http://{PASSWORD}/"]}}, {})
    shown = {each.path: each.value for each in described(settings, forms, {}) if each.path.startswith("credentials")}
    assert PASSWORD not in f"{shown}"
    assert shown["credentials.acme[0]"] == "http://a"
    assert shown["credentials.acme[2].base_url"] == "http://c"
    assert list(shown) == [
        *("credentials.acme[0]", "credentials.acme[1]", "credentials.acme[2].base_url"),
        "credentials.keys[0]",
    ]


def test_every_scalar_key_has_its_variable() -> None:
    """As of the other tables."""
    assert {"MODELHUB_ROUTING_PICK", "MODELHUB_EGRESS_ALLOW", "MODELHUB_SHARING_REDIS"} <= setting_variables().keys()
