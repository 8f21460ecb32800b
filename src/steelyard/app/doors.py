"""Builds what stands at the door: who may come in, and what the first administrator is told."""

import sys
from dataclasses import dataclass
from time import monotonic

from steelyard.actions.context import Caller, Context
from steelyard.actions.identities import Identities
from steelyard.actions.refusals import Refusals
from steelyard.actions.sign_in import SignIn
from steelyard.api.gatekeeper import Door, Gatekeeper, OpenDoor
from steelyard.app.sign_in import believed_of
from steelyard.auth.abuse import Attempts
from steelyard.auth.keys import make_key
from steelyard.auth.proxies import Proxies
from steelyard.errors import StartupError
from steelyard.outbound.networks import is_loopback
from steelyard.outbound.transport import Transport
from steelyard.records.access import SYSTEM, Binding, Narrowing
from steelyard.records.keys import ApiKey
from steelyard.settings import Settings
from steelyard.store.protocol import WriteTransaction

FIRST_ADMINISTRATOR = "admin"
_RESERVED = frozenset({FIRST_ADMINISTRATOR, "system"})
"""Names that mean somebody here: an identity provider's user of that name would be taken for them."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The door, and what keeps it."""

    door: Door
    identities: Identities | None = None
    refusals: Refusals | None = None
    sign_in: SignIn = SignIn()  # noqa: RUF009 - frozen
    transport: Transport | None = None

    async def close(self) -> None:
        """Writes down what is not written down yet."""
        if self.transport is not None:
            await self.transport.close()
        if self.identities is not None:
            await self.identities.flush()
        if self.refusals is not None:
            await self.refusals.flush()


def doors_of(settings: Settings, context: Context) -> Doors:
    """The door that the settings ask for."""
    if not settings.auth.enabled:
        names = {*settings.auth.allowed_hosts, settings.host.lower()}
        return Doors(OpenDoor(frozenset({*names, "*"} if settings.auth.insecure else names)))
    refusals, attempts = Refusals(context), Attempts(settings.auth.attempts_per_minute, monotonic)
    believed = believed_of(settings, context, refusals, attempts, _RESERVED)
    identities = Identities(context, believed.tokens)
    gatekeeper = Gatekeeper(identities, attempts, refusals, _proxies_of(settings))
    return Doors(gatekeeper, identities, refusals, believed.sign_in, believed.transport)


def _proxies_of(settings: Settings) -> Proxies | None:
    given = settings.auth
    if bool(given.proxy_addresses) != bool(given.proxy_secret):
        raise StartupError("auth.proxy_addresses and auth.proxy_secret go together: a proxy is believed by both")
    if given.proxy_secret is None:
        return None
    reserved = _RESERVED | {one.split("|")[2] for one in given.workloads}
    return Proxies(given.proxy_addresses, given.proxy_secret.get_secret_value(), reserved)


def exposure_of(settings: Settings) -> str | None:
    """What to say where everybody may do everything. Raises StartupError where others could reach that unawares."""
    if settings.auth.enabled:
        return None
    if is_loopback(settings.host):
        return "No authentication: whoever is on this machine may do everything (setting auth.enabled changes that)."
    if settings.auth.insecure:
        return "No authentication, as auth.insecure insists: whoever reaches this address may do everything."
    raise StartupError(
        f"{settings.host} can be reached from elsewhere, and nobody would have to say who they are: set "
        "auth.enabled=true, listen on 127.0.0.1, or insist with --insecure"
    )


async def seed_access(context: Context, admin_email: str | None) -> str | None:
    """Makes the first administrator, where nobody administers the server yet; answers the key, which is told once."""
    made = make_key()
    now = context.now()
    by = Caller("system")

    async def action(tx: WriteTransaction) -> bool:
        bindings = await tx.bindings()
        if admin_email and not any(
            one.principal == admin_email and one.role == "PlatformAdmin" and one.revoked_at is None for one in bindings
        ):
            await _bind(tx, context, by, admin_email, now)
        if any(one.role == "PlatformAdmin" for one in bindings) or await tx.keys():
            return False
        await _bind(tx, context, by, FIRST_ADMINISTRATOR, now)
        key = ApiKey(made.id, FIRST_ADMINISTRATOR, "first", made.digest, now, "system", None, None, None, Narrowing())
        await tx.put_key(key)
        await tx.put_audit(by.entry(now, "keys.create", "api-key", None, key.id, "first of admin"))
        return True

    return made.text if await context.store.write(action) else None


async def _bind(tx: WriteTransaction, context: Context, by: Caller, principal: str, now: str) -> None:
    binding = Binding(context.new_id("role-binding"), principal, SYSTEM, "PlatformAdmin", "system", now)
    if await tx.put_binding(binding):
        entry = by.entry(now, "iam.create", "role-binding", SYSTEM, binding.id, f"PlatformAdmin of {principal}")
        await tx.put_audit(entry)


def say_key(key: str | None) -> None:
    """Tells the first administrator's key, once: it is kept nowhere."""
    if key is not None:
        print(  # noqa: T201 - said to whoever started us, and to no log
            f"The key of the first administrator ({FIRST_ADMINISTRATOR}), which is shown this once:\n\n    {key}\n\n"
            "Send it as `Authorization: Bearer`, make keys of your own with it, and then revoke it.",
            file=sys.stderr,
            flush=True,
        )
