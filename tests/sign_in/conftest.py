"""An identity provider and a server that believes it, for the tests of this folder together."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.auth.forging import OTHER_RSA, P256, RSA
from tests.oidc.provider import AUDIENCE, CLIENT, Provider, providing
from tests.servers import Server, running

WORKLOADS = "{0}|repo:acme/models:*|ci-models, {0}|repo:acme/*|ci-others|models:read"
PROXY_SECRET = "the-secret-of-the-proxy"


def write_keys(file: Path, *names: str) -> Path:
    """A file with private keys for a provider, by their names in `tests.auth.forging`."""
    found = {
        "rsa": {**RSAAlgorithm.to_jwk(RSA, as_dict=True), "alg": "RS256"},
        "new": {**RSAAlgorithm.to_jwk(OTHER_RSA, as_dict=True), "alg": "RS256"},
        "p256": {**ECAlgorithm.to_jwk(P256, as_dict=True), "alg": "ES256"},
    }
    keys = [{**found[name], "kid": name, "use": "sig"} for name in names]
    file.write_text(json.dumps({"keys": [{k: v for k, v in key.items() if k != "key_ops"} for key in keys]}))
    return file


def believing(issuer: str, **more: str) -> Mapping[str, str]:
    """The settings of a server that believes an issuer."""
    return {
        "STEELYARD_AUTH__ENABLED": "true",
        "STEELYARD_AUTH__ADMIN_EMAIL": "root@example.com",
        "STEELYARD_AUTH__OIDC__ISSUER": issuer,
        "STEELYARD_AUTH__OIDC__CLIENT_ID": CLIENT,
        "STEELYARD_AUTH__OIDC__AUDIENCE": AUDIENCE,
        "STEELYARD_AUTH__OIDC__SKEW_SECONDS": "0",
        "STEELYARD_AUTH__OIDC__REFETCH_SECONDS": "1",
        "STEELYARD_AUTH__ATTEMPTS_PER_MINUTE": "10000",
        "STEELYARD_AUTH__WORKLOADS": WORKLOADS.format(issuer),
        "STEELYARD_AUTH__PROXY_ADDRESSES": "127.0.0.1/32",
        "STEELYARD_AUTH__PROXY_SECRET": PROXY_SECRET,
        **more,
    }


def first_key(server: Server) -> str:
    """The first administrator's key, as the server has said it."""
    found = re.search(r"sy_\w+", server.log)
    assert found
    return found[0]


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The provider, which signs with the key `rsa` of `tests.auth.forging`."""
    with providing(write_keys(tmp_path_factory.mktemp("provider") / "keys.json", "rsa")) as provider:
        yield provider


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Server]:
    """The server that believes it."""
    with running(tmp_path_factory.mktemp("server") / "data", environ=believing(provider.issuer)) as server:
        yield server


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks nobody who they are."""
    with running(tmp_path_factory.mktemp("open") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def admin(server: Server) -> Iterator[httpx.Client]:
    """The first administrator."""
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {first_key(server)}"}) as client:
        yield client


@pytest.fixture(scope="session")
def alice(provider: Provider) -> dict[str, str]:
    """Alice's tokens."""
    return provider.sign_in("alice")
