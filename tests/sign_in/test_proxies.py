"""A trusted proxy tells who is calling; headers of anybody else say nothing, and go nowhere."""

from pathlib import Path

import httpx
import pytest

from tests.gateway.upstreams import upstream
from tests.servers import Server, running
from tests.sign_in.conftest import PROXY_SECRET, believing, first_key

ME = "/apis/auth/v2/me"
RIGHT = {
    "x-steelyard-subject": "carol",
    "x-steelyard-email": "carol@example.com",
    "x-steelyard-groups": "ml-team,everyone",
    "x-steelyard-proxy-secret": PROXY_SECRET,
}


def test_a_proxy_says_who_is_calling(server: Server) -> None:
    said = httpx.get(server.url + ME, headers=RIGHT).json()

    assert (said["subject"], said["email"], said["issuer"]) == ("carol", "carol@example.com", "proxy")
    assert said["groups"] == ["everyone", "ml-team"]


@pytest.mark.parametrize("secret", [None, "", "wrong-wrong-wrong-wrong", PROXY_SECRET.upper()])
def test_without_its_secret_nobody_is_believed(server: Server, secret: str | None) -> None:
    headers = {name: value for name, value in RIGHT.items() if name != "x-steelyard-proxy-secret"}
    if secret is not None:
        headers["x-steelyard-proxy-secret"] = secret

    assert httpx.get(server.url + ME, headers=headers).status_code == 401


@pytest.mark.parametrize("subject", ["admin", "system", "ci-models", "group:ml-team", "a b", "*"])
def test_no_proxy_makes_somebody_of_the_servers_own(server: Server, subject: str) -> None:
    assert httpx.get(server.url + ME, headers={**RIGHT, "x-steelyard-subject": subject}).status_code == 401


def test_a_key_goes_before_the_proxys_word(server: Server) -> None:
    headers = {**RIGHT, "authorization": f"Bearer {first_key(server)}"}

    assert httpx.get(server.url + ME, headers=headers).json()["subject"] == "admin"
    assert httpx.get(server.url + ME, headers={**RIGHT, "authorization": "Bearer sy_wrong"}).status_code == 401


@pytest.mark.parametrize("more", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example.com"}])
def test_a_page_of_another_site_writes_nothing(server: Server, more: dict[str, str]) -> None:
    """Through the proxy, a browser's cookie says who is calling."""
    path = "/apis/auth/v2/keys"

    assert httpx.post(server.url + path, json={"name": "stolen"}, headers={**RIGHT, **more}).status_code == 403
    assert httpx.post(server.url + path, json={"name": f"own-{next(iter(more))}"}, headers=RIGHT).status_code == 201


def test_elsewhere_the_headers_say_nothing_and_go_nowhere(tmp_path: Path) -> None:
    with upstream() as engine:
        environ = believing(
            "http://127.0.0.1:9",
            STEELYARD_AUTH__PROXY_ADDRESSES="10.0.0.0/8",
            STEELYARD_OUTBOUND__ALLOW_PRIVATE="true",
            STEELYARD_GATEWAY__REQUEST_HEADERS="x-steelyard-subject, x-steelyard-proxy-secret, x-team",
        )
        with running(tmp_path / "data", environ=environ) as server:
            assert httpx.get(server.url + ME, headers=RIGHT).status_code == 401
            headers = {**RIGHT, "x-team": "search", "authorization": f"Bearer {first_key(server)}"}
            base = f"{server.url}/apis/models/v2/workspaces/default"
            made = httpx.post(f"{base}/providers", json={"name": "p", "host_url": engine.url}, headers=headers)
            assert made.status_code == 201
            call = f"{server.url}/apis/inference-gateway/v2/workspaces/default/provider/p/-/v1/models"
            assert httpx.get(call, headers=headers).status_code == 200
        seen = [request for request in engine.requests if request.header("x-team") == "search"]

    assert seen
    assert not [name for request in seen for name, _ in request.headers if name.lower().startswith("x-steelyard")]


@pytest.mark.parametrize("missing", ["STEELYARD_AUTH__PROXY_ADDRESSES", "STEELYARD_AUTH__PROXY_SECRET"])
def test_address_and_secret_go_together(tmp_path: Path, missing: str) -> None:
    environ = {name: value for name, value in believing("http://127.0.0.1:9").items() if name != missing}
    with pytest.raises(AssertionError, match="go together"), running(tmp_path / "data", environ=environ):
        pass
