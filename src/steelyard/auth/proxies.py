"""Identities that a trusted proxy tells of: believed from its addresses and with its secret, and else not looked at."""

import secrets
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

from steelyard.auth.claims import checked_email, checked_groups, checked_subject
from steelyard.records.access import Principal

_SUBJECT, _SECRET = b"x-steelyard-subject", b"x-steelyard-proxy-secret"
_EMAIL, _GROUPS = b"x-steelyard-email", b"x-steelyard-groups"
HEADERS = frozenset({_SUBJECT, _SECRET, _EMAIL, _GROUPS})
ISSUER = "proxy"
"""What the audit says of where such an identity comes from."""


class Proxies:
    """The proxies that may say who a caller is."""

    def __init__(self, networks: Iterable[str], secret: str, reserved: frozenset[str]) -> None:
        self._networks = [ip_network(network) for network in networks]
        self._secret = secret.encode()
        self._reserved = reserved

    def principal(self, headers: Mapping[bytes, bytes], address: str | None) -> Principal | None:
        """Who a proxy says is calling; None if no proxy of ours says so. Raises Unauthorized for a bad name of ours."""
        subject = headers.get(_SUBJECT)
        if not subject or not self._from_proxy(address):
            return None
        if not secrets.compare_digest(headers.get(_SECRET, b""), self._secret):
            return None
        name = checked_subject(subject.decode("latin-1"), self._reserved)
        groups = [one.strip() for one in headers.get(_GROUPS, b"").decode("latin-1").split(",") if one.strip()]
        email = checked_email(headers.get(_EMAIL, b"").decode("latin-1"))
        return Principal(name, email, checked_groups(groups), ISSUER)

    def _from_proxy(self, address: str | None) -> bool:
        try:
            host = ip_address(address or "")
        except ValueError:
            return False
        mapped = getattr(host, "ipv4_mapped", None)
        return any((mapped or host) in network for network in self._networks)
