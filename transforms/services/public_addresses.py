"""Which addresses are of the public internet.

By a table of our own beside Python's `is_global`: that one follows IANA's registries by Python's patch release (3.11.7
lets in more than 3.11.9), and knows no addresses that a cloud answers at from within.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS: Final = frozenset({80, 443, 8000, 8080, 8443})

_NOT_PUBLIC: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
            # Clouds' own, for machines in them. Others' are in the ranges above: Oracle's 192.0.0.192, Alibaba's
            # 100.100.100.200, and fc00::/7, which is outside of 2000::/3.
            "168.63.129.16/32",  # Azure
            *("161.26.0.0/16", "166.8.0.0/14"),  # IBM
        ),
    )
)
"""IANA's special-purpose registries of IPv4 and IPv6 as of October 2025, but for what they call globally reachable,
with the addresses of clouds as of then."""
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given out to the public internet."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address, port: int) -> bool:
    """Whether an address is of the public internet and the port one of `PORTS`.

    Addresses that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) are as public as that one is.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner, port)
        if address not in _GLOBAL_UNICAST:
            return False
    return port in PORTS and address.is_global and not any(address in network for network in _NOT_PUBLIC)
