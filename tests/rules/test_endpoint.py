"""A base URL as people type it becomes the one URL that is meant, or one error that says what is wrong with it."""

import ipaddress
import pickle
import re
import string
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelhub.errors import ConfigurationError
from modelhub.rules.endpoint import REASONS, Endpoint, EndpointRefused, endpoint_of
from modelhub.types.forms import EndpointRule

LOCAL = EndpointRule(scheme="http", port=11434, strip=("/api", "/v1", "/v1/chat/completions"))

MEANT = [
    ("http://host", "http://host"),
    ("http://host/", "http://host"),
    ("http://host:80/", "http://host"),
    ("https://host:443", "https://host"),
    ("https://host:80", "https://host:80"),
    ("  http://host:8080  ", "http://host:8080"),
    ("HTTP://HOST.Example", "http://host.example"),
    ("http://host:", "http://host"),
    ("http://host:0080", "http://host"),
    ("http://host.", "http://host"),
    ("http://my_server-1.lan:9", "http://my_server-1.lan:9"),
    # no scheme: the rule's scheme and, where no port is given either, its port
    ("host", "http://host:11434"),
    ("host:80", "http://host"),
    ("//host", "http://host:11434"),
    ("host/proxy", "http://host:11434/proxy"),
    ("localhost", "http://localhost:11434"),
    # the API's own path is cut off, any other is a prefix
    ("http://host/api", "http://host"),
    ("http://host/api/", "http://host"),
    ("http://host//api//", "http://host"),
    ("http://host/proxy/api", "http://host/proxy"),
    ("http://host/v1/chat/completions", "http://host"),
    ("http://host/proxy/ollama/", "http://host/proxy/ollama"),
    ("http://host/my-api", "http://host/my-api"),
    ("http://host/a//b", "http://host/a/b"),
    ("http://host/jalan/é", "http://host/jalan/%C3%A9"),
    ("http://host/a%20b", "http://host/a%20b"),
    # addresses to listen on are not addresses to call
    ("0.0.0.0", "http://127.0.0.1:11434"),
    ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
    ("http://[::]:8080", "http://[::1]:8080"),
    ("[::]", "http://[::1]:11434"),
    ("::", "http://[::1]:11434"),
    ("http://[0:0:0:0:0:0:0:0]", "http://[::1]"),
    # IPv6
    ("::1", "http://[::1]:11434"),
    ("[::1]", "http://[::1]:11434"),
    ("[::1]:9", "http://[::1]:9"),
    ("http://[2001:DB8:0:0::1]/x", "http://[2001:db8::1]/x"),
    ("http://[::ffff:127.0.0.1]", "http://127.0.0.1"),
    ("http://[::ffff:0.0.0.0]", "http://127.0.0.1"),
    ("fe80::1%eth0", "http://[fe80::1%25eth0]:11434"),
    ("http://[fe80::1%eth0]:9", "http://[fe80::1%25eth0]:9"),
    ("http://[fe80::1%25eth0]:9/x", "http://[fe80::1%25eth0]:9/x"),
    ("http://[fe80::1%2525]", "http://[fe80::1%2525]"),
    # names in other scripts, and digits of other scripts
    ("http://bücher.example", "http://xn--bcher-kva.example"),
    ("http://BÜCHER.example", "http://xn--bcher-kva.example"),
    ("http://例え。テスト", "http://xn--r8jz45g.xn--zckzah"),
    ("http://\uff11\uff12\uff17.0.0.1", "http://127.0.0.1"),
]

REFUSED = [
    ("", "it is empty"),
    ("   ", "it is empty"),
    ("http://", "it has no host name"),
    ("http:///path", "it has no host name"),
    ("/path", "it has no host name"),
    (":8080", "it has no host name"),
    ("..", "it has no host name"),
    ("http:/host", "its scheme is not followed by ://"),
    ("http:host", "its port is not a number from 1 to 65535"),
    ("http:8080", "its scheme is not followed by ://"),
    ("http//host:1", "its scheme is not followed by ://"),
    ("https", "its scheme is not followed by ://"),
    ("http://http://host", "its scheme is not followed by ://"),
    ("http://https//host", "its scheme is not followed by ://"),
    ("ftp://host", "its scheme is neither http nor https"),
    ("file:///etc/passwd", "its scheme is neither http nor https"),
    ("unix:///run/x.sock", "its scheme is neither http nor https"),
    ("javascript:alert(1)", "its port is not a number from 1 to 65535"),
    ("http://ho st", "a blank"),
    ("http://host/a b", "a blank"),
    ("http://host\\path", "a blank"),
    ("http://host\n", None),
    ("http://ho\nst", "a blank"),
    ("http://host\x00", "a blank"),
    ("http://ho\u200dst", "a blank"),
    ("http://host:0", "port 0 cannot be called"),
    ("http://host:70000", "its port is not a number from 1 to 65535"),
    ("http://host:-1", "its port is not a number from 1 to 65535"),
    ("http://host:+80", "its port is not a number from 1 to 65535"),
    ("http://host:٨٠", "its port is not a number from 1 to 65535"),
    ("http://host:80:90", "its port is not a number from 1 to 65535"),
    ("http://host?x=1", "it has a query or a fragment"),
    ("http://host?", "it has a query or a fragment"),
    ("http://host/#", "it has a query or a fragment"),
    ("http://host/a#b", "it has a query or a fragment"),
    ("http://@host", "it has a user name or password in it"),
    ("http://user@host", "it has a user name or password in it"),
    ("user:word@host", "it has a user name or password in it"),
    ("http://::1:11434", "an IPv6 address needs brackets"),
    ("http://::1/x", "an IPv6 address needs brackets"),
    ("http://[::1", "its host name cannot be one"),
    ("http://::1]", None),
    ("http://[::1]x", None),
    ("http://[::1]:x", "its port is not a number from 1 to 65535"),
    ("http://[v1.fe80::a]", "its host name cannot be one"),
    ("http://[host]", "its host name cannot be one"),
    ("http://[127.0.0.1]", "its host name cannot be one"),
    ("http://[fe80::1%]", "its host name cannot be one"),
    ("http://[fe80::1%a%b]", "its host name cannot be one"),
    # what the system's resolver would read as an address although nobody sees it
    ("http://2130706433", "an IPv4 address is four decimal numbers"),
    ("http://0", "an IPv4 address is four decimal numbers"),
    ("http://0x7f000001", "an IPv4 address is four decimal numbers"),
    ("http://0x7f.1", "an IPv4 address is four decimal numbers"),
    ("http://127.0x1", "an IPv4 address is four decimal numbers"),
    ("http://127.1", "an IPv4 address is four decimal numbers"),
    ("http://0177.0.0.1", "an IPv4 address is four decimal numbers"),
    ("http://1.2.3.4.5", "an IPv4 address is four decimal numbers"),
    ("http://256.1.1.1", "an IPv4 address is four decimal numbers"),
    ("http://faß.de", "its host name can be read in two ways"),
    ("http://a..b", "its host name cannot be one"),
    ("http://.a", "its host name cannot be one"),
    ("http://-a.example", "its host name cannot be one"),
    ("http://*", "its host name cannot be one"),
    ("http://ho,st", "its host name cannot be one"),
    ("http://ex%61mple.com", "its host name cannot be one"),
    ("http://a℀b", "its host name cannot be one"),
    (f"http://{'a' * 64}.example", "its host name cannot be one"),
    (f"http://{'.'.join(['a' * 60] * 5)}", "its host name cannot be one"),
    ("http://host/a/../b", "its path has . or .. in it"),
    ("http://host/%2e%2E/b", "its path has . or .. in it"),
    ("http://host/%zz", "its path has a % that begins no code"),
]

SECRET = "s3cr3t"
HIDING = [
    f"http://user:{SECRET}@host",
    f"http://{SECRET}@host",
    f"http://user:{SECRET}@host:99999",
    f"http://user:x@{SECRET}@host",
    f"http://user:{SECRET}/x@host",
    f"http://user:{SECRET}?x@host",
    f"http://user:{SECRET}#x@host",
    f"user:{SECRET}@host",
    f"user:{SECRET}@host:0",
    f"http://user:{SECRET}℀@host",
    f"http://host?api_key={SECRET}",
    f"http://host/a b?api_key={SECRET}",
    f"http://host/x#{SECRET}",
    f"ftp://user:{SECRET}@host",
]


@pytest.mark.parametrize(("text", "url"), MEANT)
def test_what_is_typed_becomes_the_url_that_is_meant(text: str, url: str) -> None:
    """Scheme and port come from the rule where they are missing; addresses and names have one spelling each."""
    endpoint = endpoint_of(text, LOCAL)
    assert endpoint.url == url
    assert endpoint_of(endpoint.url) == endpoint, "reading the URL again changes nothing"


@pytest.mark.parametrize(("text", "why"), [case for case in REFUSED if case[1] is not None])
def test_what_cannot_be_a_base_url_is_refused_with_the_reason(text: str, why: str) -> None:
    """The message is one line that shows what was given, says what is wrong with it, and how to write it."""
    with pytest.raises(ConfigurationError) as caught:
        endpoint_of(text, LOCAL)
    assert why in caught.value.message
    assert isinstance(caught.value, EndpointRefused)
    assert caught.value.why in REASONS
    assert caught.value.message.endswith(why) or why in {"a blank", "it has a user name or password in it"}
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_odd_brackets_are_an_error_or_one_url() -> None:
    """What is left of a bracket never becomes another host."""
    for text in ("http://::1]", "http://[::1]x", "http://x[::1]"):
        with pytest.raises(ConfigurationError):
            endpoint_of(text)
    assert endpoint_of("http://host\n").url == "http://host"


@pytest.mark.parametrize("text", HIDING)
def test_a_refusal_keeps_secrets_to_itself(text: str) -> None:
    """Neither the message nor the traceback nor a pickle shows a password or a query."""
    with pytest.raises(ConfigurationError) as caught:
        endpoint_of(text)
    shown = "".join(traceback.format_exception(caught.value))
    seen = (str(caught.value), repr(caught.value), shown.partition("Traceback")[2], repr(pickle.dumps(caught.value)))
    source_lines_aside = "\n".join(line for line in seen[2].splitlines() if not line.startswith("    "))
    assert SECRET not in seen[0] + seen[1] + source_lines_aside + seen[3]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_huge_text_gives_a_short_error() -> None:
    """What is shown of the text is cut."""
    with pytest.raises(ConfigurationError) as caught:
        endpoint_of("http://" + "x" * 1_000_000)
    assert len(str(caught.value)) < 500


def test_the_default_rule_is_https_without_a_port_of_its_own() -> None:
    """Where a provider says nothing, a name alone is an https host."""
    assert endpoint_of("host").url == "https://host"
    assert endpoint_of("host:8443/v2").url == "https://host:8443/v2"


def test_a_scheme_given_without_a_port_means_the_port_of_the_scheme() -> None:
    """The rule's port is for a name alone; who writes http:// has said which port."""
    assert endpoint_of("http://host", LOCAL).port == 80
    assert endpoint_of("https://host", LOCAL).port == 443


@pytest.mark.parametrize("ending", ["/api", "api", "/api/", "api/"])
def test_an_ending_to_strip_is_a_whole_piece_of_the_path(ending: str) -> None:
    """However the rule writes it, /my-api and /myapi are other paths."""
    rule = EndpointRule(strip=(ending,))
    assert endpoint_of("http://host/x/api/", rule).prefix == "/x"
    assert endpoint_of("http://host/my-api", rule).prefix == "/my-api"
    assert endpoint_of("http://host/myapi", rule).prefix == "/myapi"


def test_a_zone_stays_on_this_machine() -> None:
    """It is needed to connect and means nothing to the server, so that the Host header has none (RFC 6874, 4)."""
    endpoint = endpoint_of("http://[fe80::1%eth0]:9")
    assert endpoint.host == "fe80::1%eth0"
    assert endpoint.authority == "[fe80::1]:9"


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("0.0.0.0", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("[fe80::1%lo]", False),
    ],
)
def test_loopback_is_known_by_address_or_name(text: str, loopback: bool) -> None:  # noqa: FBT001  a table's column
    """Proxies and guards depend on it."""
    assert endpoint_of(text).is_loopback is loopback


LABEL = st.from_regex(r"\A[a-z]([a-z0-9-]{0,8}[a-z0-9])?\Z")
NAME = st.lists(LABEL, min_size=1, max_size=3).map(".".join).filter(lambda name: name not in {"http", "https"})
ADDRESS = st.one_of(
    NAME,
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
PIECE = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_~é日"), min_size=1, max_size=6)
PATH = st.lists(PIECE, max_size=3)


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=ADDRESS,
    port=st.none() | st.integers(1, 65535),
    path=PATH,
    slashes=st.integers(0, 2),
)
def test_every_well_formed_url_is_read_as_itself(
    scheme: str, host: str, port: int | None, path: list[str], slashes: int
) -> None:
    """Scheme, port and path come out as they went in; reading is idempotent; slashes at the end mean nothing."""
    text = f"{scheme}://{host}{f':{port}' if port else ''}{''.join(f'/{piece}' for piece in path)}{'/' * slashes}"
    endpoint = endpoint_of(text)
    assert endpoint.scheme == scheme
    assert endpoint.port == (port or {"http": 80, "https": 443}[scheme])
    assert endpoint.prefix.count("/") == len(path)
    assert endpoint.prefix.isascii()
    assert endpoint_of(endpoint.url) == endpoint
    if host[0] != "[" and not host[0].isdigit():
        assert endpoint.host == host


@given(st.text(max_size=40))
@example("http://user:s3cr3t@host")
@example("[::1%25]")
@example("http://[::1]]")
def test_any_text_is_one_url_or_one_configuration_error(text: str) -> None:
    """Nothing else comes out, and what comes out is a URL that means itself and can go into a request."""
    _one_url_or_one_error(text)


@given(
    st.text(st.sampled_from("htps:/@?#[]%.0123456789abxfeF -_\\"), max_size=24),
    st.sampled_from(["", "http://", "https://", "//", "http://[", "http://0x", "http:/"]),
)
def test_any_text_that_looks_like_a_url_is_one_url_or_one_error(text: str, head: str) -> None:
    """As above, with the characters that URLs are made of."""
    _one_url_or_one_error(head + text)


def _one_url_or_one_error(text: str) -> None:
    try:
        endpoint = endpoint_of(text, LOCAL)
    except ConfigurationError:
        return
    assert endpoint_of(endpoint.url) == endpoint
    assert endpoint.url.isascii()
    assert endpoint.url.isprintable()
    assert " " not in endpoint.url
    assert 0 < endpoint.port < 65536
    assert not endpoint.prefix.endswith("/")
    _assert_host(endpoint)


def _assert_host(endpoint: Endpoint) -> None:
    last = endpoint.host.rpartition(".")[2]
    if ":" in endpoint.host:
        assert isinstance(ipaddress.ip_address(endpoint.host), ipaddress.IPv6Address)
    elif re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last):
        assert isinstance(ipaddress.ip_address(endpoint.host), ipaddress.IPv4Address)
    else:
        assert endpoint.host == endpoint.host.lower()
