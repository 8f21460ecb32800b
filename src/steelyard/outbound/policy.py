"""Where the server may send requests: a value made of the settings, and pure functions over it.

It is asked twice: when a URL is written (what the text alone shows), and for each address that its name resolves to,
just before that address is connected to (`transport.py`). The first is for people, the second is what protects.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from steelyard.errors import OutboundRefused
from steelyard.outbound.networks import Address, Network, Reach, parse_address, reach_of

# ASCII only: a resolver folds other letters and digits into these, so that a name could spell an address.
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
# What a resolver would read as a number: the last label decides (WHATWG URL, 3.5, "ends in a number").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PRIVATE_NAMES = ("localhost", "localdomain")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """Which addresses may be sent to.

    A private address needs `allow_private`, or a name of `allowed_hosts` (`*.example.com` takes every name below it),
    or a network of `allowed_networks`. A special one (link-local, metadata, multicast, reserved) needs such a network.
    """

    schemes: frozenset[str] = frozenset({"https", "http"})
    allow_private: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    allowed_networks: tuple[Network, ...] = ()

    def allows_private_at(self, host: str) -> bool:
        """Whether the host of that name may be a private one."""
        if self.allow_private or host in self.allowed_hosts:
            return True
        parents = host.split(".")[1:]
        return any(f"*.{'.'.join(parents[index:])}" in self.allowed_hosts for index in range(len(parents)))


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: `host` in lower case and without a final dot; `address` if the host is one."""

    scheme: str
    host: str
    port: int
    address: Address | None


def check_url(policy: OutboundPolicy, url: str) -> Target:
    """Where `url` leads, if nothing in its text speaks against it. Raises OutboundRefused."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().removesuffix("."), parts.port
    except ValueError:
        raise OutboundRefused("not a URL: the host or the port cannot be read") from None
    if parts.scheme not in policy.schemes or parts.scheme not in _DEFAULT_PORTS:
        allowed = " or ".join(sorted(policy.schemes))
        raise OutboundRefused(f"the scheme must be {allowed} (setting outbound.schemes)")
    if "@" in parts.netloc:
        raise OutboundRefused("must not hold credentials")
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise OutboundRefused("must not hold spaces, backslashes or control characters")
    if port == 0:
        raise OutboundRefused("the port must be from 1 to 65535")
    address = _literal(host, bracketed="[" in parts.netloc)
    if address is not None:
        check_address(policy, host, address)
    elif host.rpartition(".")[2] in _PRIVATE_NAMES and not _may_be_private(policy, host):
        raise _refused(host, Reach.PRIVATE)
    return Target(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], address)


def check_address(policy: OutboundPolicy, host: str, address: Address) -> None:
    """Raises OutboundRefused if `host` may not be reached at `address`."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in policy.allowed_networks):
        return
    reach = reach_of(address)
    if reach is Reach.PUBLIC or (reach is Reach.PRIVATE and policy.allows_private_at(host)):
        return
    raise _refused(host, reach)


def _may_be_private(policy: OutboundPolicy, host: str) -> bool:
    # A network that is allowed may be where this name leads: that is seen when it is resolved.
    return policy.allows_private_at(host) or bool(policy.allowed_networks)


def _literal(host: str, *, bracketed: bool) -> Address | None:
    """The address that `host` is, None for a name. Raises OutboundRefused for what is neither, or spelled oddly."""
    if bracketed:
        if "%" in host:
            raise OutboundRefused("an address with a zone is not taken")
        try:
            return parse_address(host)
        except ValueError:
            raise OutboundRefused("the host is no IPv6 address") from None
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return IPv4Address(host)
        except ValueError:
            raise OutboundRefused("an IPv4 address has four decimal numbers without leading zeros") from None
    if not _HOST_NAME.fullmatch(host):
        raise OutboundRefused("the host must be an ASCII name (others as xn--…) or an address")
    return None


def _refused(host: str, reach: Reach) -> OutboundRefused:
    # Not the address that a name has resolved to: it would tell the caller what our network looks like.
    key = "outbound.allowed_networks" if reach is Reach.SPECIAL else "outbound.allowed_hosts and allowed_networks"
    return OutboundRefused(f"{host!r} is a {reach} address, which this server does not send to (settings {key})")
