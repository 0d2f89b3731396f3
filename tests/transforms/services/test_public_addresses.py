"""Which addresses may be connected to."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gog.transforms.services.public_addresses import is_public

NOT_PUBLIC = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.0.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "64:ff9b:1::1", "::7f00:1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("168.63.129.16", "192.0.0.192", "192.0.0.8", "192.0.0.170", "192.88.99.1", "100.100.100.200", "161.26.0.10"),
    *("::ffff:168.63.129.16", "64:ff9b::168.63.129.16", "2002:a83f:8110::1", "::8.8.8.8", "fd20:ce::254"),
    *("3fff::1", "3fff:fff:ffff::1", "5f00::1", "4000::1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:20::1"),
    *("2002:7f00:1::1", "2002:a00:1::", "2001:0:102:304::80ff:fffe", "fd00:ec2::254"),
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "2606:4700::1111",
    "2a00:1450:4001::8",
    "3ffe::1",
    "2620:4f:8000::1",
    "168.63.129.17",
    "192.0.1.1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address), 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_at_usual_ports(address: str) -> None:
    assert is_public(ipaddress.ip_address(address), 443)
    assert is_public(ipaddress.ip_address(address), 80)
    assert not is_public(ipaddress.ip_address(address), 22)
    assert not is_public(ipaddress.ip_address(address), 6379)


@given(st.integers(0, 2**32 - 1))
@example(int(ipaddress.IPv4Address("127.0.0.1")))
@example(int(ipaddress.IPv4Address("8.8.8.8")))
def test_an_address_in_an_address_is_as_public_as_it_is(number: int) -> None:
    plain = is_public(ipaddress.IPv4Address(number), 80)
    for within in (0xFFFF << 32, 0x0064FF9B << 96):
        assert is_public(ipaddress.IPv6Address(within | number), 80) is plain


@pytest.mark.parametrize(
    "address", ["168.63.129.16", "192.0.0.192", "3fff::1", "192.88.99.1", "203.0.113.1", "2001:db8::1"]
)
def test_the_table_stands_without_pythons_own(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        monkeypatch.setattr(kind, "is_global", property(lambda _: True))
    assert not is_public(ipaddress.ip_address(address), 443)
