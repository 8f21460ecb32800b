"""A server without authentication, on this machine: a web page of somebody else's gets nothing from it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.access.worlds import World
from tests.attack.wires import statuses, talk
from tests.servers import Server, running

MODELS = "/apis/models/v2/workspaces/default/models"
PAGE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("open") / "data") as server:
        yield server


@pytest.fixture
def client(opened: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=opened.url) as made:
        yield made


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_name_that_leads_here_by_somebody_elses_doing(opened: Server, host: str) -> None:
    port = opened.url.rpartition(":")[2]
    for name in (host, f"{host.partition(':')[0]}:{port}"):
        for method in ("GET", "POST"):
            head = f"{method} {MODELS} HTTP/1.1\r\nHost: {name}\r\nContent-Length: 0\r\n\r\n".encode()
            assert statuses(talk(opened.url, head, seconds=1)) == [403]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1@evil.example",
        "evil.example#localhost",
        "evil.example/localhost",
        "0.0.0.0",
        "[::ffff:7f00:1]x",
        "2130706433",
        ":8080",
        "",
    ],
)
def test_hosts_that_only_look_like_this_machine(opened: Server, host: str) -> None:
    head = f"GET {MODELS} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    assert statuses(talk(opened.url, head, seconds=1)) in ([403], [400])


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_hosts_that_are_this_machine(opened: Server, host: str) -> None:
    head = f"GET {MODELS} HTTP/1.1\r\nHost: {host}:8080\r\n\r\n".encode()
    assert statuses(talk(opened.url, head, seconds=1)) == [200]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost.evil.example"},
        PAGE,
    ],
)
def test_a_page_of_another_site_writes_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        given = {**headers, "Content-Type": content_type}
        assert client.post(MODELS, content=b'{"name":"evil"}', headers=given).status_code == 403
    assert client.delete(f"{MODELS}/x", headers=headers).status_code == 403
    assert client.post("/v1/chat/completions", json={"model": "x"}, headers=headers).status_code == 403
    assert client.get(f"{MODELS}/evil").status_code == 404


def test_a_page_of_ours_writes(client: httpx.Client) -> None:
    origin = str(client.base_url).rstrip("/")
    assert client.post(MODELS, json={"name": "ours"}, headers={"Origin": origin}).status_code == 201


def test_no_page_reads_what_is_answered(client: httpx.Client, target: World) -> None:
    """Cross-origin requests are closed: no answer says that a page of another origin may read it."""
    for asker, path in ((client, MODELS), (client, "/status"), (target.root, MODELS), (target.root, "/v1/models")):
        for method in ("GET", "OPTIONS", "POST"):
            asked = {**PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            answer = asker.request(method, path, headers=asked)
            assert not [name for name in answer.headers if name.startswith("access-control-")], (path, method)


def test_every_answer_tells_browsers_to_guess_nothing(target: World, client: httpx.Client) -> None:
    for asker, path in (
        *(
            (target.root, path)
            for path in (MODELS, "/v1/models", "/docs", "/openapi.json", "/metrics", "/nope", "/status")
        ),
        (target.client(None), MODELS),
        (client, MODELS),
    ):
        answer = asker.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] == "no-referrer", path
        assert "set-cookie" not in answer.headers
        assert "server" not in answer.headers


def test_the_page_is_in_no_frame(target: World) -> None:
    answer = target.root.get("/docs")
    assert answer.headers["x-frame-options"] == "DENY"
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy


def test_secrets_and_keys_are_kept_by_no_cache(target: World) -> None:
    secrets = "/apis/secrets/v2/workspaces/default/secrets"
    target.root.post(secrets, json={"name": "kept", "value": "x"})
    for path in (secrets, f"{secrets}/kept", "/apis/auth/v2/keys", "/apis/auth/v2/me", "/apis/steelyard/v1/audit"):
        assert "no-store" in target.root.get(path).headers["cache-control"], path
    made = target.root.post("/apis/auth/v2/keys", json={"name": target.name("no-cache")})
    assert "no-store" in made.headers["cache-control"]


def test_files_that_users_send_are_no_pages(target: World) -> None:
    filesets = "/apis/files/v2/workspaces/default/filesets"
    target.root.post(filesets, json={"name": "pages"})
    for name in ("x.html", "x.svg", "x.js", "x"):
        assert target.root.put(f"{filesets}/pages/-/{name}", content=b"<script>alert(1)</script>").status_code < 300
        for path in (f"{filesets}/pages/-/{name}", f"/apis/files/v2/hf/default/pages/resolve/main/{name}"):
            answer = target.root.get(path)
            assert answer.headers["content-disposition"].startswith("attachment"), path
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "html" not in answer.headers.get("content-type", "")


def test_an_open_server_starts_on_no_other_address(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="can be reached from elsewhere"),
        running(tmp_path / "a", "--set", "host=0.0.0.0"),
    ):
        pass
