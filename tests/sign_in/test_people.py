"""People who sign in at a real identity provider, and tokens that only look as if they had."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt

from tests.auth.forging import OTHER_RSA, RSA, assembled, pem
from tests.oidc.provider import Provider, providing
from tests.servers import Server, running
from tests.sign_in.conftest import believing, first_key, write_keys

ME = "/apis/auth/v2/me"
MODELS = "/apis/models/v2/workspaces/default/models"


def _me(server: Server, token: str) -> httpx.Response:
    return httpx.get(server.url + ME, headers={"authorization": f"Bearer {token}"})


def test_a_person_is_known_by_their_token(server: Server, provider: Provider, alice: dict[str, str]) -> None:
    said = _me(server, alice["access_token"]).json()

    assert (said["subject"], said["email"], said["issuer"]) == ("alice", "alice@example.com", provider.issuer)
    assert said["groups"] == ["everyone", "ml-team"]


def test_what_they_may_do_is_what_their_groups_may(server: Server, admin: httpx.Client, provider: Provider) -> None:
    admin.post(
        "/apis/auth/v2/iam/role-bindings", json={"principal": "group:ml-team", "role": "Editor", "workspace": "default"}
    )
    admin.post(
        "/apis/auth/v2/iam/role-bindings",
        json={"principal": "group:everyone", "role": "Viewer", "workspace": "default"},
    )
    tokens = {name: provider.sign_in(name)["access_token"] for name in ("alice", "bob", "mallory")}

    def statuses(name: str) -> tuple[int, int]:
        headers = {"authorization": f"Bearer {tokens[name]}"}
        made = httpx.post(server.url + MODELS, json={"name": f"of-{name}"}, headers=headers)
        return httpx.get(server.url + MODELS, headers=headers).status_code, made.status_code

    assert statuses("alice") == (200, 201)
    assert statuses("bob") == (200, 403)
    assert statuses("mallory") == (403, 403)


def test_an_address_that_is_not_verified_is_nobodys(server: Server, admin: httpx.Client, provider: Provider) -> None:
    binding = {"principal": "alice@example.com", "role": "Viewer", "workspace": "system"}
    assert admin.post("/apis/auth/v2/iam/role-bindings", json=binding).status_code == 200

    said = _me(server, provider.sign_in("mallory")["access_token"]).json()

    assert said["email"] is None
    assert "system" not in said["workspaces"]


def test_scopes_of_a_token_narrow_what_it_can_do(server: Server, admin: httpx.Client, provider: Provider) -> None:
    admin.post("/apis/auth/v2/iam/role-bindings", json={"principal": "alice", "role": "Editor", "workspace": "default"})
    token = provider.sign_in("alice", "openid email profile models:read")["access_token"]
    headers = {"authorization": f"Bearer {token}"}

    assert httpx.get(server.url + MODELS, headers=headers).status_code == 200
    assert httpx.post(server.url + MODELS, json={"name": "x1"}, headers=headers).status_code == 403


def test_a_token_for_another_audience_is_not_taken(server: Server, alice: dict[str, str]) -> None:
    """The id token is for the client: this server has an audience of its own."""
    refused = _me(server, alice["id_token"])

    assert refused.status_code == 401
    assert "aud" in refused.json()["detail"]
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def _forged(issuer: str) -> Iterator[tuple[str, str]]:
    right = {"iss": issuer, "aud": "steelyard", "sub": "alice", "exp": int(time.time()) + 600}
    head = {"kid": "rsa"}

    def signed(key: Any = RSA, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **more: Any) -> str:
        return jwt.encode({**right, **more}, key, algorithm, headers={**head, **(headers or {})})

    yield "none", assembled({"alg": "none", **head}, right)
    yield "the public key as a secret", assembled({"alg": "HS256", **head}, right, pem(RSA))
    yield "another key", signed(OTHER_RSA)
    yield "jku", signed(OTHER_RSA, headers={"kid": "evil", "jku": f"{issuer}/evil"})
    yield "a kid that is a path", signed(OTHER_RSA, headers={"kid": "../../rsa"})
    yield "wrong aud", signed(aud="other")
    yield "wrong iss", signed(iss="http://127.0.0.1:9")
    yield "expired", signed(exp=int(time.time()) - 1)
    yield "not yet", signed(nbf=int(time.time()) + 60)
    yield "made in the future", signed(iat=int(time.time()) + 60)
    yield "cut", signed()[:-9]
    yield "a name of the server's own", signed(sub="admin")
    yield "a workload's name", signed(sub="ci-models")
    yield "a group's name", signed(sub="group:ml-team")


def test_forged_tokens_are_refused(server: Server, provider: Provider) -> None:
    # Ours are made with the provider's own key: the right one among them shows that the others fail by what is wrong.
    right = {"iss": provider.issuer, "aud": "steelyard", "sub": "alice", "exp": int(time.time()) + 600}
    assert _me(server, jwt.encode(right, RSA, "RS256", headers={"kid": "rsa"})).status_code == 200

    found = {name: _me(server, token) for name, token in _forged(provider.issuer)}

    assert {name: response.status_code for name, response in found.items()} == dict.fromkeys(found, 401)
    assert all(response.json()["code"] == "unauthorized" for response in found.values())


def test_a_refused_token_is_not_in_the_log(server: Server, provider: Provider) -> None:
    token = dict(_forged(provider.issuer))["wrong aud"]
    assert _me(server, token).status_code == 401

    assert token not in server.log
    assert token.split(".")[2] not in server.log


def test_keys_turn_at_the_provider(tmp_path: Path) -> None:
    """The provider is started again with other keys, twice: with both, and then with the new one alone."""
    keys = tmp_path / "keys.json"
    with providing(write_keys(keys, "rsa")) as provider:
        issuer, port = provider.issuer, provider.port
        old = provider.sign_in("alice")["access_token"]
        environ = believing(issuer)
        server_of = running(tmp_path / "data", environ=environ)
        server = server_of.__enter__()
    try:
        # Nobody answers: then nobody is known, and the server says that it is not the caller's fault.
        assert _me(server, old).status_code == 503
        time.sleep(1.1)
        with providing(write_keys(keys, "p256", "rsa"), port) as provider:
            assert provider.issuer == issuer
            new = provider.sign_in("alice")["access_token"]
            assert jwt.get_unverified_header(new)["alg"] == "ES256"
            assert _me(server, old).status_code == 200
            assert _me(server, new).status_code == 200
        assert _me(server, new).status_code == 200, "the provider is down; its keys are known"
        with providing(write_keys(keys, "new"), port) as provider:
            newest = provider.sign_in("alice")["access_token"]
            time.sleep(1.1)
            assert _me(server, newest).status_code == 200
            assert _me(server, old).status_code == 401, "its key is gone"
        assert first_key(server)
    finally:
        server_of.__exit__(None, None, None)
