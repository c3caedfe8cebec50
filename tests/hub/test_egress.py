"""Where base URLs may lead by who gave them: the operator's to private hosts, those of calls to public ones alone."""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelhub import ModelHub
from modelhub.configuration.credentials import CredentialSource
from modelhub.configuration.settings import read_settings
from modelhub.errors import ConfigurationError, CredentialsInvalid, EgressRefused, MalformedResponse, ModelHubError
from modelhub.http.addresses import Address
from modelhub.runtime.core import Runtime
from modelhub.runtime.credentials import GivenCredentials
from modelhub.runtime.deployments import Deployment
from modelhub.runtime.plugins import PluginRegistry
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.testing.scripted import ScriptedProvider
from modelhub.testing.wire_server import WireServer
from modelhub.types.credential import Credential, OperatorValues

pytestmark = pytest.mark.anyio

ALLOWED = {"egress": {"allow": ["127.0.0.0/8"]}}
Vendor = Callable[[Request], Reply]


@pytest.fixture(autouse=True)
def nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from the rule without exceptions, after what holds for the other tests here."""
    monkeypatch.delenv("MODELHUB_EGRESS_ALLOW")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def configured(url: str, **more: Any) -> dict[str, Any]:
    """Return settings in which a provider has a base URL."""
    return {"credentials": {"acme": {"base_url": url, "api_key": "k-operator"}}, **more}


async def test_what_a_call_brings_may_not_lead_here(acme: type, vendor: Vendor) -> None:
    """By no verb whatever; the message says what to write, and nothing is sent."""
    async with WireServer(vendor) as server, ModelHub({}, providers=[acme]) as hub:
        given: dict[str, Any] = {"credentials": {"base_url": server.url}}
        calls = [
            lambda: hub.chat("acme/m", "Hi", **given),
            lambda: hub.embed("acme/m", ["x"], **given),
            lambda: hub.rerank("acme/m", "?", ["a"], **given),
            lambda: hub.speak("acme/m", "x", **given),
            lambda: hub.transcribe("acme/m", b"RIFF", **given),
            lambda: hub.moderate("acme/m", "x", **given),
            lambda: hub.count_tokens("acme/m", "Hi", **given),
            lambda: hub.models("acme", **given),
            lambda: hub.stream("acme/m", "Hi", **given).__aenter__(),
            lambda: hub.bind("acme/m").chat("Hi", **given),
            lambda: hub.bind({"provider": "acme", "model": "m", "tenant": True, **given}).chat("Hi"),
        ]
        for call in calls:
            with pytest.raises(EgressRefused) as caught:
                await call()
            error = caught.value
            assert "not public" in error.message
            assert 'allow = ["127.0.0.1"] below [egress] in modelhub.toml' in str(error)
            assert "hub.bind" in str(error)
            assert error.sent is False
        report = await hub.validate("acme", given["credentials"])
        assert isinstance(report.error, EgressRefused)
        assert (report.ok, report.stages[0], list(report.errors)) == (False, "form", ["base_url"])
        assert "[egress]" in report.errors["base_url"]
    assert server.connections == 0


async def test_the_operators_may(acme: type, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the settings, the environment, a bound model, the command line."""
    async with WireServer(vendor) as server:
        async with ModelHub(configured(server.url), providers=[acme]) as hub:
            await hub.chat("acme/m", "Hi")
        async with ModelHub({}, providers=[acme]) as hub:
            await hub.bind({"provider": "acme", "model": "m", "credentials": {"base_url": server.url}}).chat("Hi")
            typed = OperatorValues(base_url=server.url)
            for credentials in (typed, [typed], [{"id": "a", "values": typed}]):
                await hub.chat("acme/m", "Hi", credentials=credentials)
            assert (await hub.validate("acme", typed)).ok
        monkeypatch.setenv("MODELHUB_ACME_BASE_URL", server.url)
        async with ModelHub({}, providers=[acme]) as hub:
            await hub.chat("acme/m", "Hi")
    assert len(server.requests) == 7


async def test_a_key_of_a_users_own_goes_to_the_operators_server(acme: type, vendor: Vendor) -> None:
    """It is the operator who says where that is; who repeats it exactly says nothing else."""
    async with WireServer(vendor) as server, ModelHub(configured(server.url), providers=[acme]) as hub:
        for own in ({"api_key": "k-user"}, {"base_url": server.url}, {"base_url": f"{server.url}/"}):
            await hub.chat("acme/m", "Hi", credentials=own)
        for own in ({"base_url": f"{server.url}/admin"}, {"base_url": "http://127.0.0.1:9"}):
            with pytest.raises(EgressRefused):
                await hub.chat("acme/m", "Hi", credentials=own)
        bound = hub.bind({"provider": "acme", "model": "m", "credentials": {"base_url": server.url}, "tenant": True})
        await bound.chat("Hi")
        await bound.chat("Hi", credentials={"api_key": "k-user"})
    assert len(server.requests) == 5


async def test_a_bound_model_may_be_a_users(acme: type, vendor: Vendor) -> None:
    """Then so is what a call puts over it; where it is the operator's, only what the call itself brings is."""
    async with WireServer(vendor) as server, WireServer(vendor) as other, ModelHub({}, providers=[acme]) as hub:
        config = {"provider": "acme", "model": "m", "credentials": {"base_url": server.url}}
        users, operators = hub.bind({**config, "tenant": True}), hub.bind({**config, "tenant": False})
        for own in (None, {"api_key": "k-user"}):
            with pytest.raises(EgressRefused):
                await users.chat("Hi", credentials=own)
            await operators.chat("Hi", credentials=own)
        with pytest.raises(EgressRefused):
            await operators.chat("Hi", credentials={"base_url": other.url})
        with pytest.raises(ConfigurationError, match="tenant"):
            hub.bind({**config, "tenant": "yes"})
    assert (len(server.requests), other.connections) == (2, 0)


async def test_the_operator_may_allow_networks_and_hosts(
    acme: type, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file, in a dict, in the environment; by address and by name."""
    file = tmp_path / "modelhub.toml"
    file.write_text('[egress]\nallow = ["127.0.0.0/8"]\n', "utf-8")
    async with WireServer(vendor) as server:
        by_name = f"http://localhost:{server.port}"
        for config, url in (
            (ALLOWED, server.url),
            (file, server.url),
            ({"egress": {"allow": ["localhost"]}}, by_name),
        ):
            async with ModelHub(config, providers=[acme]) as hub:
                await hub.chat("acme/m", "Hi", credentials={"base_url": url})
        monkeypatch.setenv("MODELHUB_EGRESS_ALLOW", "10.0.0.0/8, 127.0.0.0/8")
        async with ModelHub({}, providers=[acme]) as hub:
            await hub.chat("acme/m", "Hi", credentials={"base_url": server.url})
        monkeypatch.setenv("MODELHUB_EGRESS_ALLOW", "localhost")
        async with ModelHub({}, providers=[acme]) as hub:
            with pytest.raises(EgressRefused):
                await hub.chat("acme/m", "Hi", credentials={"base_url": server.url})
    assert len(server.requests) == 4


METADATA = (
    "http://169.254.169.254",
    "http://169.254.169.254./latest",
    "http://[::ffff:169.254.169.254]",
    "http://[64:ff9b::a9fe:a9fe]",
    "http://[2002:a9fe:a9fe::1]",
    "http://[fd00:ec2::254]",
    "http://[fe80::a9fe:a9fe%25lo]",
    "http://100.100.100.200",
    "http://168.63.129.16",
    "http://192.0.0.192",
    "http://metadata.google.internal",
    "http://metadata.google.internal./computeMetadata",
    "http://METADATA。google。internal",
)


class Names:
    """A name server: each look-up gets the next answer, and the last one from then on."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Look a name up; an address is itself."""
        self.asked.append(host)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if host[:1].isdigit() or ":" in host:
            answer = [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answer]


async def refusal(url: str, *, tenant: bool, names: Names, tmp_path: Path, acme: type) -> ModelHubError | None:
    """Return what a connection to a base URL ends with, with names looked up in a name server of the test."""
    settings = read_settings({} if tenant else configured(url), {})
    registry = PluginRegistry(settings.plugins, (acme,))
    runtime = Runtime(registry, settings, cache_dir=tmp_path, progress=None, resolve=names)
    try:
        plugin = await registry.find("acme")
        given = GivenCredentials("acme", [CredentialSource({"base_url": url})]) if tenant else None
        credential: Credential = (await runtime.credentials.usable(plugin, "m", given=given)).credentials[0]
        assert credential.tenant_endpoint == tenant
        bound = await registry.bound(plugin)
        deployment = Deployment(plugin, "m", credential)
        limits = runtime.limits(plugin, deadline=None, total=None, streaming=False)
        context = await runtime.context(bound, deployment, limits)
        await bound.validate_provider_credentials(context)  # type: ignore[misc]  # it has it
    except ModelHubError as error:
        return error
    finally:
        await runtime.aclose()
    return None


@pytest.mark.parametrize("url", METADATA)
@pytest.mark.parametrize("tenant", [True, False])
async def test_nobody_reaches_a_metadata_service(acme: type, tmp_path: Path, url: str, *, tenant: bool) -> None:
    """However it is written, and whoever wrote it."""
    error = await refusal(url, tenant=tenant, names=Names(["8.8.8.8"]), tmp_path=tmp_path, acme=acme)
    assert isinstance(error, EgressRefused)
    assert "metadata" in error.message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9",
        "https://127.0.0.1:9",
        "https://0.0.0.0:9",
        "https://[::]:9",
        "https://[::1]:9",
        "https://[::ffff:127.0.0.1]:9",
        "https://[64:ff9b::7f00:1]:9",
        "https://[2002:7f00:1::]:9",
        "https://[2001:0:7f00:1::f7f7:f7f7]:9",
        "https://10.0.0.1",
        "https://10.0.0.1.",
        "https://gpu.internal",
        "https://gpu.internal.",
        "https://GPU.internal",
        "https://bücher.example",
        "http://api.example.org",
    ],
)
async def test_a_user_reaches_nothing_private(acme: type, tmp_path: Path, url: str) -> None:
    """However it is written, and whatever name it has."""
    names = Names(["127.0.0.1"] if "api" not in url else ["8.8.8.8"])
    error = await refusal(url, tenant=True, names=names, tmp_path=tmp_path, acme=acme)
    assert isinstance(error, EgressRefused)


@pytest.mark.parametrize("answers", [[["8.8.8.8", "127.0.0.1"]], [["127.0.0.1", "8.8.8.8"]], [["::1", "2606:4700::1"]]])
async def test_a_mixed_answer_is_refused_whole(acme: type, tmp_path: Path, answers: list[list[str]]) -> None:
    """And nothing is looked up again until an answer pleases."""
    names = Names(*answers)
    error = await refusal("https://api.example.org", tenant=True, names=names, tmp_path=tmp_path, acme=acme)
    assert isinstance(error, EgressRefused)
    assert names.asked == ["api.example.org"]


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433:9",
        "http://0x7f000001:9",
        "http://0177.0.0.1:9",
        "http://127.1:9",
        "http://127.0.0.1:9@8.8.8.8",
        "http://8.8.8.8@127.0.0.1:9",
        "http://127.0.0.1:9#@8.8.8.8",
        "http://127.0.0.1:9?@8.8.8.8",
        "http://8.8.8.8\\@127.0.0.1:9",
        "http:\\\\127.0.0.1:9",
        "http://127.0.0.1:9\n.example",
        "file:///etc/passwd",
        "gopher://127.0.0.1:9",
        "http://ⓛocalhost:9@x",
    ],
)
async def test_a_base_url_that_can_be_read_in_two_ways_is_none(acme: type, url: str) -> None:
    """It is refused with the form, before anything is looked up."""
    async with ModelHub({}, providers=[acme]) as hub:
        with pytest.raises(CredentialsInvalid):
            await hub.chat("acme/m", "Hi", credentials={"base_url": url})


async def test_connections_are_not_shared_between_trusts(acme: type) -> None:
    """A user who names the operator's own server by another way has none of the operator's connections."""
    reply = json_reply({"text": "Hi", "end": "stop", "in": 3, "out": 2})
    async with WireServer(reply) as server, ModelHub(configured(server.url, **ALLOWED), providers=[acme]) as hub:
        await hub.chat("acme/m", "Hi")
        await hub.chat("acme/m", "Hi", credentials={"base_url": server.url})
        assert server.connections == 1
        await hub.chat("acme/m", "Hi", credentials={"base_url": f"{server.url}/x", "api_key": "k-operator"})
        assert server.connections == 2


async def test_a_refusal_leads_on_to_the_next_model(acme: type) -> None:
    """As other credentials that cannot be used do, and it stands in the list of attempts."""
    async with ModelHub({}, providers=[acme, ScriptedProvider("from the next")]) as hub:
        reply = await hub.chat(["acme/m", "scripted/m"], "Hi", credentials={"base_url": "http://127.0.0.1:9"})
    assert reply.text == "from the next"
    assert reply.attempts[0].error == "EgressRefused"


async def test_a_redirect_leads_nowhere(acme: type) -> None:
    """The other host sees no request: no authorization, no key, no cookie."""
    async with WireServer(Reply(body="{}")) as evil:
        for status in (301, 302, 303, 307, 308):
            turned = Reply(status, {"location": f"{evil.url}/chat", "set-cookie": "session=1"})
            async with WireServer(turned) as server, ModelHub(configured(server.url), providers=[acme]) as hub:
                for _ in range(2):
                    with pytest.raises(MalformedResponse):
                        await hub.chat("acme/m", "Hi")
            assert all("cookie" not in request.headers for request in server.requests)
        assert evil.connections == 0


async def test_a_proxy_of_the_environment_sees_nothing_of_this_machine(
    acme: type, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the operator's calls nor what users try."""
    async with WireServer(vendor) as sink, WireServer(vendor) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, sink.url)
        async with ModelHub(configured(server.url), providers=[acme]) as hub:
            await hub.chat("acme/m", "Hi")
            for url in ("http://127.0.0.1:9", "https://10.0.0.1", "http://169.254.169.254", "https://[::1]"):
                with pytest.raises(EgressRefused):
                    await hub.chat("acme/m", "Hi", credentials={"base_url": url})
    assert (sink.connections, len(server.requests)) == (0, 1)
