"""What kind of address an IP address is: the special-purpose registries of IANA as tables.

The standard library's `is_private` and `is_global` have changed their answers between patch releases of Python; what is
refused here must not depend on which one runs.

Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry (RFC 6890, 8190).
"""

from collections.abc import Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Reach(StrEnum):
    """Who can be reached by an address."""

    PUBLIC = "public"
    PRIVATE = "private"
    """This machine, or the network around it."""
    SPECIAL = "special"
    """No host that anyone should send to: link-local, metadata services, multicast, reserved, documentation."""


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# The services of clouds that hand credentials to whoever asks from inside a machine. Some of them stand in ranges that
# would otherwise count as private, or even as public.
_METADATA = _networks(
    "169.254.169.254/32",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
)
_PRIVATE = _networks(
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT
    "::1/128",
    "fc00::/7",
)
_SPECIAL_4 = _networks(
    "0.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_SPECIAL_6 = _networks(
    "2001::/23",  # Teredo, ORCHID and other protocols
    "2001:db8::/32",
    "3fff::/20",
)
_GLOBAL_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def parse_address(text: str) -> Address:
    """The address that `text` spells in its usual form; one that stands for an IPv4 address (`::ffff:…`) as that one.

    Raises ValueError.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_loopback(host: str) -> bool:
    """Whether a name or an address leads to this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return parse_address(host).is_loopback
    except ValueError:
        return False


def reach_of(address: Address) -> Reach:
    """Who can be reached by `address`. One that carries an IPv4 address (NAT64, 6to4) reaches what that one does."""
    if _is_in(address, _METADATA):
        return Reach.SPECIAL
    if _is_in(address, _PRIVATE):
        return Reach.PRIVATE
    if isinstance(address, IPv4Address):
        return Reach.SPECIAL if _is_in(address, _SPECIAL_4) else Reach.PUBLIC
    if address in _NAT64:
        return reach_of(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        return reach_of(address.sixtofour)
    return Reach.PUBLIC if address in _GLOBAL_6 and not _is_in(address, _SPECIAL_6) else Reach.SPECIAL


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
