"""`steelyard login`, `logout` and `whoami`: who somebody is for a server, by its identity provider."""

import os
import webbrowser
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from steelyard.cli.client import Client
from steelyard.cli.credentials import Credentials, SignedIn
from steelyard.cli.errors import CliError, RefusedError, SignInError
from steelyard.cli.oauth import TokenClient
from steelyard.cli.session import Session

ME = "/apis/auth/v2/me"

Browser = Annotated[
    bool, typer.Option("--browser/--device", help="Open the page in a browser here, or print the address to go to.")
]
Scope = Annotated[
    str | None,
    typer.Option(
        "--scope", metavar="WORDS", help='Ask for these scopes too, as "models:read": the token can do only that.'
    ),
]
Workload = Annotated[
    str | None,
    typer.Option(
        "--workload",
        metavar="FILE",
        help="Trade the token in this file, which a CI job or a pod has of its own, for one of the server.",
    ),
]


def login(session: Session, *, browser: Browser = False, scope: Scope = None, workload: Workload = None) -> None:
    """Sign in at the server's identity provider; the commands that follow use the token, and renew it."""
    said = session.client.call("GET", "/apis/auth/discovery").record()
    if not said.get("auth_enabled"):
        session.output.note(f"{session.client.url} asks nobody who they are; there is no need to sign in")
        return
    oidc = said.get("oidc")
    if not isinstance(oidc, dict):
        raise SignInError("the server has no identity provider; give an API key as STEELYARD_API_KEY")
    tokens = TokenClient(session.transport)
    if workload is not None:
        signed_in = _trade(tokens, oidc, os.path.realpath(workload), scope or "")
        who = _me(session, signed_in)
    else:
        signed_in, who = _by_device(session, tokens, oidc, browser, scope)
    credentials = Credentials(os.environ)
    with credentials.locked():
        credentials.put(session.client.address, signed_in)
    _say(session, who, "signed in as ")


def logout(session: Session) -> None:
    """Forget the token for this server; it stays in force until it expires."""
    credentials = Credentials(os.environ)
    with credentials.locked():
        found = credentials.remove(session.client.address)
    session.output.note(f"signed out of {session.client.url}" if found else f"not signed in at {session.client.url}")


def whoami(session: Session) -> None:
    """Show whom the server takes you for, and where you have which permissions."""
    _say(session, session.client.call("GET", ME).record(), "")


def _trade(tokens: TokenClient, oidc: Mapping[str, Any], file: str, scope: str) -> SignedIn:
    if not oidc.get("workload_token_exchange_enabled") or not oidc.get("workload_token_endpoint"):
        raise SignInError("the server does not trade tokens of workloads (its setting auth.workloads)")
    client_id = str(oidc.get("workload_client_id") or oidc.get("client_id"))
    audience = oidc.get("workload_audience")
    return tokens.trade(str(oidc["workload_token_endpoint"]), client_id, file, audience, scope)


def _by_device(
    session: Session, tokens: TokenClient, oidc: Mapping[str, Any], browser: bool, scope: str | None
) -> tuple[SignedIn, dict[str, Any]]:
    device, endpoint, client_id = (
        oidc.get(name) for name in ("device_authorization_endpoint", "token_endpoint", "client_id")
    )
    if not device or not endpoint:
        raise SignInError(
            "the server's identity provider does not answer, or has no device flow; give an API key as "
            "STEELYARD_API_KEY"
        )
    wanted = dict.fromkeys(f"{oidc.get('default_scopes') or 'openid'} {scope or ''}".split())
    code = tokens.ask_code(str(device), str(client_id), " ".join(wanted))
    # Whatever else is quiet, this has to be seen.
    typer.echo(f"Go to {code.whole_url or code.url} and confirm the code {code.user_code}", err=True)
    if browser:
        webbrowser.open(code.whole_url or code.url)
    answer = tokens.wait(str(endpoint), str(client_id), code)
    refused: RefusedError | None = None
    # Some providers' access tokens are for themselves alone; then the one about the person is meant.
    for kind in ("access_token", "id_token"):
        if isinstance(answer.get(kind), str):
            kept = tokens.kept(answer, kind, str(endpoint), str(client_id), " ".join(wanted), None)
            try:
                return kept, _me(session, kept)
            except RefusedError as error:
                if error.http_status != 401:
                    raise
                refused = refused or error
    raise refused or CliError("the identity provider's answer has no token")


def _me(session: Session, signed_in: SignedIn) -> dict[str, Any]:
    with Client(session.client.address, token=signed_in.token, transport=session.transport) as client:
        return client.call("GET", ME).record()


def _say(session: Session, who: Mapping[str, Any], before: str) -> None:
    if session.output.json:
        session.output.value(who)
        return
    if session.output.quiet:
        return
    if not who.get("subject"):
        session.output.line("nobody: this server asks nobody who they are")
        return
    mail, issuer, key = (who.get(name) for name in ("email", "issuer", "key"))
    about = [text for text in (mail, f"by {issuer}" if issuer else None, f"with key {key}" if key else None) if text]
    more = f" ({', '.join(map(str, about))})" if about else ""
    session.output.line(f"{before}{who['subject']}{more}")
    if groups := who.get("groups"):
        session.output.line(f"groups: {', '.join(map(str, groups))}")
    workspaces = who.get("workspaces") or {}
    if who.get("everywhere"):
        session.output.line(f"permissions everywhere: {len(who['everywhere'])}")
    for name, has in workspaces.items():
        session.output.line(f"permissions in {name}: {len(has)}")
    if not who.get("everywhere") and not workspaces:
        session.output.line("no permissions yet; an administrator can give you a role")
