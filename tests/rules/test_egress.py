"""Where connections may lead: users' base URLs to public addresses, the operator's to private ones too."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import ConfigurationError, EgressRefused, Retry, Scope
from modelhub.rules.egress import AllowList, Egress, is_metadata, is_public

TENANT = Egress(tenant=True)
OPERATOR = Egress()

PUBLIC = ["8.8.8.8", "1.1.1.1", "192.31.196.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]
HOLDING_PUBLIC = ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "::8.8.8.8", "::ffff:0:8.8.8.8"]
PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "64:ff9b:1::808:808",
    "4000::1",
]
HOLDING_PRIVATE = [
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::1",
    "2002:c0a8:101::1",
    "2001:0:7f00:1:0:0:f7f7:f7f7",  # Teredo: server 127.0.0.1, client 8.8.8.8
    "2001:0:808:808:0:0:80ff:fffe",  # Teredo: server 8.8.8.8, client 127.0.0.1
]
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
    "fe80::a9fe:a9fe",
    "fe80::a9fe:a9fe%eth0",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",  # RFC 6052 with 48, 56, 64 and 96 bits in front
    "64:ff9b:1:a9:fe:a9fe::",
    "64:ff9b:1::a9:fea9:fe00:0",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:808:808:0:0:5601:5601",  # Teredo: client 169.254.169.254
    "2606:4700::5efe:a9fe:a9fe",  # ISATAP
    "::ffff:100.100.100.200",
    "::ffff:168.63.129.16",
]


def refusal(egress: Egress, host: str, *addresses: str) -> EgressRefused:
    """Return the error for a host with addresses."""
    with pytest.raises(EgressRefused) as caught:
        egress.judge(host, addresses or [host])
    return caught.value


@pytest.mark.parametrize("address", [*PUBLIC, *HOLDING_PUBLIC])
def test_public_addresses_are_for_everybody(address: str) -> None:
    """Also those that hold a public one: behind DNS64 every host has such an address."""
    TENANT.judge(address, [address])
    OPERATOR.judge("api.example.org", [address])
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [*PRIVATE, *HOLDING_PRIVATE])
def test_other_addresses_are_the_operators_alone(address: str) -> None:
    """Whether they are given or a name has them, and however they are written or wrapped."""
    OPERATOR.judge(address, [address])
    for host in (address, "api.example.org"):
        error = refusal(TENANT, host, address)
        assert "not public" in error.message
        assert f'allow = ["{host}"]' in (error.remedy or "")


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_for_nobody(address: str) -> None:
    """Not even by the allow-list: no model server is there, and the keys of the machine are."""
    everything = AllowList.of(["0.0.0.0/0", "::/0", "api.example.org"])
    for egress in (TENANT, OPERATOR, Egress(allow=everything), Egress(tenant=True, allow=everything)):
        for host in (address, "api.example.org"):
            assert "metadata" in refusal(egress, host, address).message
            assert "metadata" in refusal(egress, host, "8.8.8.8", address).message
    assert is_metadata(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["metadata.google.internal", "metadata.google.internal.", "METADATA.Google.Internal", "metadata.goog"]
)
def test_names_of_metadata_services_are_for_nobody(host: str) -> None:
    """Whatever addresses they have here: a proxy may know others."""
    assert "metadata" in refusal(OPERATOR, host, "8.8.8.8").message
    with pytest.raises(EgressRefused, match="metadata"):
        OPERATOR.judge_name(host)
    with pytest.raises(EgressRefused, match="metadata"):
        Egress(allow=AllowList.of([host])).judge_name(host)


def test_a_name_alone_is_judged_where_it_is_an_address() -> None:
    """Any other says nothing yet."""
    OPERATOR.judge_name("10.0.0.1")
    TENANT.judge_name("api.example.org")
    with pytest.raises(EgressRefused, match="not public"):
        TENANT.judge_name("10.0.0.1")
    with pytest.raises(EgressRefused, match="metadata"):
        OPERATOR.judge_name("169.254.169.254")


@pytest.mark.parametrize("addresses", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["2606:4700::1", "::1"]])
def test_one_private_address_among_public_ones_refuses_all(addresses: list[str]) -> None:
    """Whoever gives the name its addresses decides which one answers."""
    refusal(TENANT, "api.example.org", *addresses)
    OPERATOR.judge("api.example.org", addresses)


def test_what_users_type_needs_https() -> None:
    """A key that somebody typed into a form is not for everybody on the way."""
    error = refusal(Egress(tenant=True, secure=False), "api.example.org", "8.8.8.8")
    assert "without https" in error.message
    assert "https://" in (error.remedy or "")


@pytest.mark.parametrize(
    ("entries", "host", "addresses"),
    [
        (["10.1.0.0/16"], "10.1.2.3", ["10.1.2.3"]),
        (["10.1.0.0/16"], "gpu.internal", ["10.1.2.3", "10.1.2.4"]),
        (["10.1.2.3"], "gpu.internal", ["10.1.2.3"]),
        (["gpu.internal"], "gpu.internal", ["10.1.2.3", "fd00::1"]),
        (["GPU.internal."], "gpu.internal", ["10.1.2.3"]),
        (["gpu.internal"], "GPU.Internal.", ["10.1.2.3"]),
        (["10.0.0.0/8"], "x", ["::ffff:10.1.2.3"]),
        (["::ffff:10.0.0.0/104"], "x", ["::ffff:10.1.2.3"]),
        (["::1"], "::1", ["::1"]),
        (["[::1]"], "::1", ["::1"]),
        (["8.8.8.8"], "x", ["8.8.8.8"]),
    ],
)
def test_the_operator_may_allow_more(entries: list[str], host: str, addresses: list[str]) -> None:
    """Networks, addresses and names; then without https too."""
    allow = AllowList.of(entries)
    Egress(tenant=True, secure=False, allow=allow).judge(host, addresses)
    Egress(keyed=True, secure=False, allow=allow).judge(host, addresses)


def test_what_is_allowed_allows_nothing_beside_it() -> None:
    """Another name for it, a name below it, and a neighbour of it stay refused."""
    egress = Egress(tenant=True, allow=AllowList.of(["10.1.0.0/16", "gpu.internal"]))
    for host, address in (
        ("10.2.0.1", "10.2.0.1"),
        ("x.gpu.internal", "10.2.0.1"),
        ("gpu.internal.evil.example", "10.2.0.1"),
        ("internal", "10.2.0.1"),
    ):
        refusal(egress, host, address)
    refusal(egress, "mixed.example", "10.1.0.1", "10.2.0.1")


@pytest.mark.parametrize(
    "entry", ["10.1.2.3/16", "", "  ", "http://gpu.internal", "gpu.internal:80", "a@b", "1.2.3.4/33"]
)
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    """It would allow nothing, or something else than was meant."""
    with pytest.raises(ConfigurationError, match=r"egress\.allow"):
        AllowList.of([entry])


@pytest.mark.parametrize("address", PUBLIC)
def test_a_key_does_not_go_over_the_internet_in_the_clear(address: str) -> None:
    """Nobody means that, the operator neither; without a key, with https or at home it may be."""
    error = refusal(Egress(keyed=True, secure=False), "api.example.org", address)
    assert "unencrypted" in error.message
    assert 'allow = ["api.example.org"]' in (error.remedy or "")
    refusal(Egress(keyed=True, secure=False), "api.example.org", "10.0.0.1", address)
    Egress(keyed=False, secure=False).judge("api.example.org", [address])
    Egress(keyed=True, secure=True).judge("api.example.org", [address])
    for private in ("10.0.0.1", "127.0.0.1", "100.64.0.1", "fd12::1", "fe80::1%2"):
        Egress(keyed=True, secure=False).judge("gpu", [private])


def test_what_cannot_be_looked_up_cannot_be_judged() -> None:
    """Where that is needed, it is refused; a name that is allowed needs none."""
    assert "not known here" in refusal(Egress(tenant=True), "api.example.org", "no address").message
    for egress in (TENANT, Egress(keyed=True, secure=False)):
        assert egress.needs_addresses
        with pytest.raises(EgressRefused, match="not known here"):
            egress.judge("api.example.org", [])
    assert not OPERATOR.needs_addresses
    OPERATOR.judge("api.example.org", [])
    Egress(tenant=True, allow=AllowList.of(["api.example.org"])).judge("api.example.org", [])


def test_a_refusal_is_nobodys_fault_but_the_settings() -> None:
    """So nothing is counted against the server; another credential may lead elsewhere."""
    error = refusal(TENANT, "10.0.0.1")
    assert isinstance(error, ConfigurationError)
    assert (error.scope, error.retry, error.sent) == (Scope.LOCAL, Retry.OTHER_CREDENTIAL, False)


@given(
    st.one_of(
        st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address), st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
    )
)
def test_what_is_public_is_public_by_python_too(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Where no other address is inside: the own tables are never the more generous ones."""
    if address in ipaddress.ip_network("2002::/16" if address.version == 6 else "0.0.0.0/32"):
        return
    if is_public(address) and (address.version == 4 or int(address) > 2**97):
        assert address.is_global
    if is_public(address):
        assert not address.is_multicast
        assert not is_metadata(address)


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_a_wrapped_address_is_judged_as_what_is_in_it(address: ipaddress.IPv4Address) -> None:
    """In every wrapping that is told by its prefix."""
    number = int(address)
    wrapped = [0xFFFF << 32 | number, 0xFFFF << 48 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80]
    for each in map(ipaddress.IPv6Address, wrapped):
        assert is_public(each) == is_public(address)
        assert is_metadata(each) == is_metadata(address)
    local = ipaddress.IPv6Address(0x64FF9B0001 << 80 | number)
    assert not is_public(local)
    assert is_metadata(local) >= is_metadata(address)


def test_the_tables_are_shown_in_short() -> None:
    """A status line, as everywhere."""
    assert repr(AllowList.of(["10.0.0.0/8", "b", "a"])).startswith("AllowList(networks=")
    assert "tenant=True" in repr(TENANT)
