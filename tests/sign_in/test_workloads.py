"""Workloads, whose tokens of a real provider are traded for tokens of the server (RFC 8693)."""

import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.auth.forging import OTHER_RSA, RSA
from tests.oidc.provider import CLIENT, JOB, OTHER_JOB, Provider
from tests.servers import Server, running
from tests.sign_in.conftest import believing

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
MODELS = "/apis/models/v2/workspaces/default/models"


def trade(url: str, token: str, **more: str) -> httpx.Response:
    form = {"grant_type": GRANT, "client_id": CLIENT, "subject_token": token, "subject_token_type": JWT, **more}
    return httpx.post(f"{url}/apis/auth/token", data={name: value for name, value in form.items() if value})


def get(url: str, path: str, token: str) -> httpx.Response:
    return httpx.get(url + path, headers={"authorization": f"Bearer {token}"})


def job_claims(provider: Provider, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    right = {"iss": provider.issuer, "aud": "steelyard", "sub": JOB, "iat": now, "exp": now + 300}
    return {name: value for name, value in {**right, **changed}.items() if value is not None}


def forged(provider: Provider, key: Any = RSA, **changed: Any) -> str:
    return jwt.encode(job_claims(provider, **changed), key, "RS256", headers={"kid": "rsa"})


def test_a_job_trades_its_token(server: Server, admin: httpx.Client, provider: Provider) -> None:
    binding = {"principal": "ci-models", "role": "Publisher", "workspace": "default"}
    assert admin.post("/apis/auth/v2/iam/role-bindings", json=binding).status_code == 200

    answer = trade(server.url, provider.job_token())
    body = answer.json()

    assert answer.status_code == 200
    assert "no-store" in answer.headers["cache-control"]
    assert (body["token_type"], body["issued_token_type"], body["expires_in"]) == ("Bearer", ACCESS, 900)
    said = get(server.url, "/apis/auth/v2/me", body["access_token"]).json()
    assert (said["subject"], said["issuer"], said["email"], said["groups"]) == ("ci-models", provider.issuer, None, [])
    headers = {"authorization": f"Bearer {body['access_token']}"}
    assert httpx.post(server.url + MODELS, json={"name": "by-ci"}, headers=headers).status_code == 201
    assert httpx.get(f"{server.url}/apis/secrets/v2/workspaces/default/secrets", headers=headers).status_code == 403


def test_anybody_can_verify_the_servers_tokens(server: Server, provider: Provider) -> None:
    token = trade(server.url, provider.job_token()).json()["access_token"]
    key = jwt.PyJWKClient(f"{server.url}/apis/auth/jwks").get_signing_key_from_jwt(token)

    found = jwt.decode(token, key, algorithms=["EdDSA"], audience="steelyard", issuer="steelyard")

    assert (found["sub"], found["workload_subject"], found["exp"] - found["iat"]) == ("ci-models", JOB, 900)
    assert set(httpx.get(f"{server.url}/apis/auth/jwks").json()["keys"][0]) == {"kty", "crv", "x", "kid", "use", "alg"}


def test_a_token_can_be_traded_again_until_it_expires(server: Server, admin: httpx.Client, provider: Provider) -> None:
    token = provider.job_token()

    made = [trade(server.url, token).json()["access_token"] for _ in range(2)]

    assert made[0] != made[1]


def test_scopes_are_as_asked_and_never_wider(server: Server, provider: Provider) -> None:
    job = provider.job_token()
    narrow = trade(server.url, job, scope="models:read").json()
    assert narrow["scope"] == "models:read"
    headers = {"authorization": f"Bearer {narrow['access_token']}"}
    assert httpx.post(server.url + MODELS, json={"name": "x2"}, headers=headers).status_code == 403

    bounded = forged(provider, sub="repo:acme/other:ref:refs/heads/main")
    assert trade(server.url, bounded).json()["scope"] == "models:read"
    assert trade(server.url, bounded, scope="models:read").status_code == 200
    for wider in ("models:write", "models:*", "platform:read", "models:read files:read"):
        assert trade(server.url, bounded, scope=wider).json()["error"] == "invalid_scope"
    assert trade(server.url, job, scope="nonsense:all").json()["error"] == "invalid_scope"


def test_tokens_of_others_are_not_traded(server: Server, provider: Provider, alice: dict[str, str]) -> None:
    now = int(time.time())
    made = trade(server.url, provider.job_token()).json()["access_token"]
    tokens = {
        "another job's": provider.job_token(OTHER_JOB),
        "a person's": alice["access_token"],
        "our own": made,
        "another key's": forged(provider, OTHER_RSA),
        "another issuer's": forged(provider, iss="https://token.example.com"),
        "for somebody else": forged(provider, aud="other"),
        "expired": forged(provider, exp=now - 1),
        "not yet in force": forged(provider, nbf=now + 60),
        "long-lived": forged(provider, exp=now + 90_000),
        "of no time": forged(provider, iat=None),
        "with a subject that only begins so": forged(provider, sub="x" + JOB),
        "a key": "sy_012345678901_0123456789012345678901234567890123456789",
        "nothing": "a.b.c",
    }

    found = {name: trade(server.url, token) for name, token in tokens.items()}

    assert {name: answer.status_code for name, answer in found.items()} == dict.fromkeys(tokens, 400)
    assert {answer.json()["error"] for answer in found.values()} == {"invalid_request"}
    assert all(set(answer.json()) == {"error", "error_description", "detail", "code"} for answer in found.values())
    for name, answer in found.items():
        assert tokens[name] not in answer.text


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"client_id": "another"}, 401, "invalid_client"),
        ({"subject_token": ""}, 400, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, 400, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, 400, "invalid_request"),
        ({"audience": "another"}, 400, "invalid_target"),
        ({"resource": "https://example.com"}, 400, "invalid_target"),
    ],
)
def test_wrong_requests_are_refused_in_oauths_words(
    server: Server, provider: Provider, changed: dict[str, str], status: int, error: str
) -> None:
    form = {"subject_token": provider.job_token(), **changed}
    answer = trade(server.url, form.pop("subject_token"), **form)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a=b&" * 100, "application/x-www-form-urlencoded"),
        (b"subject_token=" + b"a" * 70_000, "application/x-www-form-urlencoded"),
        (b"", ""),
    ],
)
def test_bodies_that_are_no_form_are_refused(server: Server, content: bytes, kind: str) -> None:
    answer = httpx.post(f"{server.url}/apis/auth/token", content=content, headers={"content-type": kind})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_what_the_settings_name_no_more_is_not_taken(tmp_path: Path, provider: Provider) -> None:
    environ = believing(provider.issuer)
    with running(tmp_path / "data", environ=environ) as server:
        token = trade(server.url, provider.job_token()).json()["access_token"]
    with running(tmp_path / "data", environ=environ) as server:
        assert get(server.url, "/apis/auth/v2/me", token).status_code == 200, "the keys are kept"
    others = f"{provider.issuer}|repo:other/*|ci-else"
    with running(tmp_path / "data", environ={**environ, "STEELYARD_AUTH__WORKLOADS": others}) as server:
        assert get(server.url, "/apis/auth/v2/me", token).status_code == 401


def test_without_workloads_nothing_is_traded(open_server: Server) -> None:
    assert trade(open_server.url, "a.b.c").json()["error"] == "invalid_request"
    assert httpx.get(f"{open_server.url}/apis/auth/jwks").json() == {"keys": []}
    assert httpx.get(f"{open_server.url}/apis/auth/discovery").json() == {"auth_enabled": False, "oidc": None}


def test_discovery_says_how_to_sign_in(server: Server, provider: Provider) -> None:
    said = httpx.get(f"{server.url}/apis/auth/discovery").json()

    assert said == {
        "auth_enabled": True,
        "oidc": {
            "issuer": provider.issuer,
            "client_id": CLIENT,
            "default_scopes": "openid email profile offline_access",
            "scope_prefix": None,
            "authorization_endpoint": f"{provider.issuer}/auth",
            "token_endpoint": f"{provider.issuer}/token",
            "device_authorization_endpoint": f"{provider.issuer}/device/auth",
            "userinfo_endpoint": f"{provider.issuer}/me",
            "workload_token_exchange_enabled": True,
            "workload_client_id": CLIENT,
            "workload_token_endpoint": f"{server.url}/apis/auth/token",
            "workload_audience": "steelyard",
            "workload_scope": None,
        },
    }
