"""Who there is: the keys and the bindings of roles, in memory, and what follows from them for a caller."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from steelyard.auth.keys import digest_of, holds, read_key
from steelyard.errors import Unauthorized
from steelyard.records.access import Access, Binding, Narrowing, Principal, access_by
from steelyard.records.keys import ApiKey

_MOST_KEPT = 20_000
_REFUSED = "the key is not one of this server, or not in force any more"
_NOBODY = digest_of("nobody's")


class Identity(NamedTuple):
    """Somebody who has said who they are, and what they may do."""

    principal: Principal
    access: Access
    key_id: str | None = None


class Directory:
    """Filled by whoever reads the store, and asked for each request."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._bindings: dict[str, Binding] = {}
        self._by_name: dict[str, list[Binding]] = {}
        self._identities: dict[str, Identity] = {}
        self._accesses: dict[Principal, Access] = {}
        # By what they follow from: most keys of one team have the same.
        self._shared: dict[tuple[tuple[tuple[str, str], ...], tuple[str, ...], Narrowing | None], Access] = {}
        # Who holds the keys that have been found right since anything last changed, by the sha256 of all of their text;
        # and of those that are not good always and everywhere, the key.
        self._right: dict[bytes, tuple[Identity, ApiKey | None]] = {}

    def put_keys(self, keys: Iterable[ApiKey]) -> None:
        """Notes keys as they are now."""
        self._right.clear()
        for key in keys:
            self._keys[key.id] = key
            self._identities.pop(key.id, None)

    def put_bindings(self, bindings: Iterable[Binding]) -> None:
        """Notes all bindings as they are now: what follows from them is worked out anew."""
        self._bindings = {one.id: one for one in bindings if one.revoked_at is None}
        self._by_name = {}
        for one in self._bindings.values():
            self._by_name.setdefault(one.principal, []).append(one)
        self._right.clear()
        self._identities.clear()
        self._accesses.clear()
        self._shared.clear()

    def access(self, principal: Principal, narrowing: Narrowing | None = None) -> Access:
        """What somebody may do."""
        if narrowing is not None:
            return self._access(principal, narrowing)
        found = self._accesses.get(principal)
        if found is None:
            if len(self._accesses) >= _MOST_KEPT:
                self._accesses.clear()
            found = self._accesses[principal] = self._access(principal, None)
        return found

    def known(self, text: bytes, address: str | None, now: Callable[[], str]) -> Identity | None:
        """Who holds a key that `by_key` has found right before; None where it has to look.

        The text is looked up by its hash: that takes no longer for a guess that begins as a key does.
        """
        found = self._right.get(sha256(text).digest())
        if found is None:
            return None
        identity, key = found
        if key is not None and (not key.in_force(now()) or (key.networks and not _within(address, key.networks))):
            return None
        return identity

    def by_key(self, text: str, address: str | None, now: str) -> Identity:
        """Who holds a key. Raises Unauthorized: the same for each reason, and after the same work."""
        found = read_key(text)
        key = self._keys.get(found[0]) if found else None
        right = holds(key.digest if key else _NOBODY, found[1] if found else "")
        if key is None or not right or not key.in_force(now):
            raise Unauthorized(_REFUSED)
        if key.networks and not _within(address, key.networks):
            raise Unauthorized("the key is not for use from this address")
        identity = self._identities.get(key.id)
        if identity is None:
            identity = self._identities[key.id] = self._identity(key)
        bounded = key.expires_at is not None or key.networks
        self._right[sha256(text.encode()).digest()] = (identity, key if bounded else None)
        return identity

    def _identity(self, key: ApiKey) -> Identity:
        principal = Principal(key.owner, key.email, frozenset(key.groups), None, key.narrowing.scopes)
        return Identity(principal, self.access(principal, key.narrowing), key.id)

    def _access(self, principal: Principal, narrowing: Narrowing | None) -> Access:
        names = dict.fromkeys(principal.names)
        roles = tuple((one.role, one.workspace) for name in names for one in self._by_name.get(name, ()))
        follows = (roles, principal.scopes, narrowing)
        found = self._shared.get(follows)
        if found is None:
            if len(self._shared) >= _MOST_KEPT:
                self._shared.clear()
            found = self._shared[follows] = access_by(*follows)
        return found


def _within(address: str | None, networks: Iterable[str]) -> bool:
    try:
        host = ip_address(address or "")
    except ValueError:
        return False
    return any(host in ip_network(network) for network in networks)
