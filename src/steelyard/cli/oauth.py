"""The command line's talk with who gives tokens: the device flow (RFC 8628), refreshes, trades of tokens (RFC 8693)."""

import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from steelyard.cli.credentials import Credentials, SignedIn
from steelyard.cli.errors import CliError, SignInError, UsageError

if TYPE_CHECKING:
    import httpx

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_TIMEOUT_SECONDS = 30.0
_TOKEN_BYTES = 16_384


class Code(NamedTuple):
    """What a person has to confirm, and how to ask whether they have."""

    device_code: str
    user_code: str
    url: str
    whole_url: str | None
    interval: float
    expires_in: float


class TokenClient:
    """Asks token endpoints. No key of the person's goes there, and no redirect is followed."""

    def __init__(
        self,
        transport: "httpx.BaseTransport | None" = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._now = now
        self._sleep = sleep

    def ask_code(self, endpoint: str, client_id: str, scope: str) -> Code:
        """Begins the device flow. Raises `SignInError`, `CliError`."""
        status, body = self._post(endpoint, {"client_id": client_id, "scope": scope})
        if status != 200:
            raise _refused(body, "the identity provider gives no code")
        try:
            return Code(
                str(body["device_code"]),
                str(body["user_code"]),
                _page(body["verification_uri"]),
                _page(body["verification_uri_complete"]) if body.get("verification_uri_complete") else None,
                max(float(body.get("interval") or 5), 0.1),
                float(body.get("expires_in") or 600),
            )
        except (KeyError, TypeError, ValueError):
            raise CliError("the identity provider's answer is not that of a device flow") from None

    def wait(self, endpoint: str, client_id: str, code: Code) -> Mapping[str, Any]:
        """The tokens, when the person has confirmed the code. Raises `SignInError` if they do not, `CliError`."""
        ends, interval = self._now() + code.expires_in, code.interval
        form = {"grant_type": DEVICE, "device_code": code.device_code, "client_id": client_id}
        while self._now() < ends:
            self._sleep(interval)
            status, body = self._post(endpoint, form)
            if status == 200:
                return body
            error = body.get("error")
            if error == "slow_down":
                interval += 5
            elif error != "authorization_pending":
                raise _refused(body, "you are not signed in")
        raise SignInError("nobody has confirmed the code in time")

    def refresh(self, kept: SignedIn) -> SignedIn:
        """A new token for one that ends. Raises `SignInError` if there is none, `CliError`."""
        if kept.workload is not None:
            return self.trade(
                str(kept.token_endpoint), str(kept.client_id), kept.workload, kept.audience, kept.scope or ""
            )
        if not kept.refresh_token or not kept.token_endpoint:
            raise SignInError("the token has expired, and the provider gave none to renew it with")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": kept.refresh_token,
            "client_id": kept.client_id or "",
            "scope": kept.scope or "",
        }
        status, body = self._post(kept.token_endpoint, {name: value for name, value in form.items() if value})
        if status != 200:
            raise _refused(body, "the token is not renewed")
        return self.kept(body, kept.kind, kept.token_endpoint, kept.client_id, kept.scope, kept.refresh_token)

    def trade(self, endpoint: str, client_id: str, file: str, audience: str | None, scope: str) -> SignedIn:
        """A token of the server's for a workload's. Raises `UsageError` for the file, `SignInError`, `CliError`."""
        try:
            with Path(file).open() as stream:
                token = stream.read(_TOKEN_BYTES + 1).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the workload's token in {file} cannot be read: {error}") from None
        form = {
            "grant_type": EXCHANGE,
            "client_id": client_id,
            "subject_token": token,
            "subject_token_type": _JWT,
            **({"audience": audience} if audience else {}),
            **({"scope": scope} if scope else {}),
        }
        status, body = self._post(endpoint, form)
        if status != 200:
            raise _refused(body, "the workload's token is not taken")
        made = self.kept(body, "access_token", endpoint, client_id, scope or None, None)
        return SignedIn(
            made.token, made.expires_at, made.kind, endpoint, client_id, scope or None, None, file, audience
        )

    def kept(
        self,
        body: Mapping[str, Any],
        kind: str,
        endpoint: str | None,
        client_id: str | None,
        scope: str | None,
        refresh_token: str | None,
    ) -> SignedIn:
        """What is kept of an answer with tokens. Raises `SignInError` if it has not that kind of token."""
        token, lasts, renewed = body.get(kind), body.get("expires_in"), body.get("refresh_token")
        if not isinstance(token, str) or not token:
            raise SignInError(f"the provider's answer has no {kind}")
        ends = self._now() + float(lasts) if isinstance(lasts, int | float) and not isinstance(lasts, bool) else None
        renews = renewed if isinstance(renewed, str) else refresh_token
        return SignedIn(token, ends, kind, endpoint, client_id, scope, renews)

    def _post(self, url: str, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        import httpx  # noqa: PLC0415

        check_endpoint(url)
        try:
            with httpx.Client(transport=self._transport, timeout=_TIMEOUT_SECONDS) as client:
                response = client.post(url, data=dict(form), headers={"accept": "application/json"})
            body = response.json() if response.content else {}
        except httpx.HTTPError as error:
            raise CliError(f"{_host(url)} does not answer: {error or 'timed out'}") from None
        except ValueError:
            body = {}
        return response.status_code, body if isinstance(body, dict) else {}


def renewed(credentials: Credentials, url: str, tokens: TokenClient, now: float) -> str | None:
    """The token that is kept for a server, renewed if it ends within a minute; None if there is none.

    Raises `SignInError` for one that has ended and is not renewed.
    """
    kept = credentials.get(url)
    if kept is None or kept.expires_at is None or kept.expires_at > now + 60:
        return kept.token if kept else None
    with credentials.locked():
        kept = credentials.get(url) or kept  # another process may have been faster
        if kept.expires_at is not None and kept.expires_at <= now + 60:
            try:
                kept = tokens.refresh(kept)
            except CliError as error:
                if kept.expires_at is not None and kept.expires_at > now:
                    return kept.token
                raise SignInError(f"you are not signed in any more ({error.message}); run `steelyard login`") from None
            credentials.put(url, kept)
    return kept.token


def check_endpoint(url: str) -> None:
    """Raises `CliError` for an address that secrets should not be sent to."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts.hostname or "")):
        raise CliError(f"{_host(url)} is not asked for a token: that takes https")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _page(url: object) -> str:
    if not isinstance(url, str) or urlsplit(url).scheme not in {"https", "http"}:
        raise ValueError
    return url


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the identity provider"


def _refused(body: Mapping[str, Any], what: str) -> SignInError:
    reason = body.get("error_description") or body.get("error") or "no reason is given"
    return SignInError(f"{what}: {str(reason)[:500]}")
