"""API keys: made, listed, ended. Whoever makes one can only make one that is narrower than themselves."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NamedTuple

from steelyard.actions.context import Caller, Context, forbidden
from steelyard.auth.directory import Identity
from steelyard.auth.keys import make_key
from steelyard.errors import Fault, Forbidden, InvalidInput, NotFound
from steelyard.records.access import Narrowing, is_reference
from steelyard.records.audit import Entry
from steelyard.records.forms import validate
from steelyard.records.identity import instant
from steelyard.records.keys import ApiKey, CreateKeyRequest
from steelyard.records.permissions import SCOPES
from steelyard.store.protocol import ReadTransaction, WriteTransaction

ADMIN = "keys.admin"


class MadeKey(NamedTuple):
    """A new key, and its text, which nobody can see again."""

    key: ApiKey
    text: str


async def create_key(context: Context, caller: Caller, identity: Identity, body: Any) -> MadeKey:
    """A new key, of the caller or of whom they may make keys for. Raises InvalidInput, Forbidden, AlreadyExists."""
    asked = validate(CreateKeyRequest, body)
    owner = asked.owner or identity.principal.subject
    own = owner == identity.principal.subject
    if not own and not caller.may(ADMIN, None):
        raise forbidden(ADMIN, None)
    faults = [*_bad_scopes(asked.scopes), *_bad_models(asked.models), *_bad_networks(asked.networks)]
    if asked.expires_at is not None and asked.expires_in_days is not None:
        faults.append(Fault(("body", "expires_in_days"), "both", "either expires_at or expires_in_days, not both"))
    if faults:
        raise InvalidInput(faults)
    now, made = context.now(), make_key()
    narrowing = Narrowing(tuple(asked.scopes), tuple(asked.workspaces), tuple(asked.models))
    principal = identity.principal
    key = ApiKey(
        made.id,
        owner,
        asked.name,
        made.digest,
        now,
        caller.name,
        _expiry(asked, now),
        None,
        None,
        narrowing,
        tuple(str(ip_network(one, strict=False)) for one in asked.networks),
        principal.email if own else None,
        tuple(sorted(principal.groups)) if own else (),
        identity.key_id,
    )

    async def action(tx: WriteTransaction) -> None:
        maker = await tx.key(identity.key_id) if identity.key_id else None
        _hold_to(maker, principal.scopes, key)
        await tx.put_key(key)
        await tx.put_audit(_entry(caller, now, "keys.create", key))

    await context.store.write(action)
    return MadeKey(key, made.text)


async def list_keys(context: Context, caller: Caller, owner: str | None) -> list[ApiKey]:
    """The keys of the caller; of an owner, or of all, for those who may administer keys. Raises Forbidden."""
    if owner != caller.name and not caller.may(ADMIN, None):
        raise forbidden(ADMIN, None)

    async def action(tx: ReadTransaction) -> list[ApiKey]:
        return [key for key in await tx.keys() if owner is None or key.owner == owner]

    return await context.store.read(action)


async def get_key(context: Context, caller: Caller, id: str) -> ApiKey:
    """A key, by its id. Raises NotFound: also for one of somebody else's."""

    async def action(tx: ReadTransaction) -> ApiKey | None:
        return await tx.key(id)

    return _visible(caller, id, await context.store.read(action))


async def revoke_key(context: Context, caller: Caller, id: str) -> ApiKey:
    """Ends a key at once, and those that were made with it. Raises NotFound."""
    now = context.now()

    async def action(tx: WriteTransaction) -> ApiKey:
        key = _visible(caller, id, await tx.key(id))
        for one in _made_with(await tx.keys(), key):
            if await tx.revoke_key(one.id, now):
                await tx.put_audit(_entry(caller, now, "keys.revoke", one))
        return key._replace(revoked_at=key.revoked_at or now)

    return await context.store.write(action)


def _visible(caller: Caller, id: str, key: ApiKey | None) -> ApiKey:
    if key is None or (key.owner != caller.name and not caller.may(ADMIN, None)):
        raise NotFound(f"there is no key {id[:100]!r}")
    return key


def _made_with(keys: Sequence[ApiKey], first: ApiKey) -> list[ApiKey]:
    found = [first]
    for one in found:  # which grows meanwhile
        found += [key for key in keys if key.made_by_key == one.id and key not in found]
    return found


def _hold_to(maker: ApiKey | None, scopes: Sequence[str], key: ApiKey) -> None:
    """Raises Forbidden if the new key could do what the key or the token with which it is made cannot."""
    _hold_scopes(scopes, key)
    if maker is None:
        return
    _hold_scopes(maker.narrowing.scopes, key)
    for name, wide, narrow in (
        ("workspaces", maker.narrowing.workspaces, key.narrowing.workspaces),
        ("models", maker.narrowing.models, key.narrowing.models),
    ):
        if wide and not (narrow and set(narrow) <= set(wide)):
            raise Forbidden(f"a key cannot make a wider one: name {name} among its own", field=name)
    if maker.networks and not (key.networks and all(_inside(one, maker.networks) for one in key.networks)):
        raise Forbidden("a key cannot make a wider one: name networks within its own", field="networks")
    if maker.expires_at is not None and (key.expires_at is None or key.expires_at > maker.expires_at):
        raise Forbidden("a key cannot make one that lives longer than itself", field="expires_at")
    if maker.owner != key.owner and maker.narrowing != Narrowing():
        raise Forbidden("a narrowed key makes keys of its own owner only", field="owner")


def _hold_scopes(wide: Sequence[str], key: ApiKey) -> None:
    if not any(":" in scope for scope in wide):
        return
    narrow = key.narrowing.scopes
    if not narrow or not all(_scope_within(scope, wide) for scope in narrow):
        raise Forbidden("a key cannot have scopes that its maker does not have", field="scopes")


def _scope_within(scope: str, wide: Sequence[str]) -> bool:
    area, _, verb = scope.partition(":")
    alone = {scope, f"{area}:*", f"platform:{verb}", "platform:*"}
    return any(one in alone for one in wide)


def _inside(network: str, networks: Sequence[str]) -> bool:
    one = ip_network(network)
    return any(_is_subnet(one, ip_network(other)) for other in networks)


def _is_subnet(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.subnet_of(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.subnet_of(other)


def _bad_scopes(scopes: Sequence[str]) -> list[Fault]:
    message = f"not a scope; scopes: {', '.join(sorted(SCOPES))}"
    known = SCOPES | {"platform:read", "platform:write", "platform:*"}
    return [Fault(("body", "scopes", at), "scope", message) for at, one in enumerate(scopes) if one not in known]


def _bad_models(models: Sequence[str]) -> list[Fault]:
    message = "must be workspace/name"
    bad = [at for at, one in enumerate(models) if not is_reference(one)]
    return [Fault(("body", "models", at), "reference", message) for at in bad]


def _bad_networks(networks: Sequence[str]) -> list[Fault]:
    faults = []
    for at, one in enumerate(networks):
        try:
            ip_network(one, strict=False)
        except ValueError:
            faults.append(Fault(("body", "networks", at), "network", "must be a network, as 10.0.0.0/8"))
    return faults


def _expiry(asked: CreateKeyRequest, now: str) -> str | None:
    if asked.expires_in_days is not None:
        return instant(datetime.fromisoformat(now) + timedelta(days=asked.expires_in_days))
    if asked.expires_at is None:
        return None
    place = ("body", "expires_at")
    try:
        at = datetime.fromisoformat(asked.expires_at)
    except ValueError:
        raise InvalidInput.of(place, "datetime", "must be a time in RFC 3339, as 2027-01-31T12:00:00Z") from None
    if at.tzinfo is None:
        raise InvalidInput.of(place, "datetime", "the time needs a zone, as Z")
    text = instant(at.astimezone(UTC))
    if text <= now:
        raise InvalidInput.of(place, "past", "must be in the future")
    return text


def _entry(caller: Caller, at: str, action: str, key: ApiKey) -> Entry:
    return caller.entry(at, action, "api-key", None, key.id, f"{key.name} of {key.owner}")
