"""Where the server is made to send requests: providers, webhooks, sources and endpoints that name its own network, in
all the ways in which an address can be written, or by a redirect. (Names that lead elsewhere the next time they are
looked up are in tests/outbound.)
"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.access.worlds import World, world

PROVIDERS, WEBHOOKS = "/apis/models/v2/workspaces/default/providers", "/apis/steelyard/v1/workspaces/default/webhooks"
MODELS, FILESETS = "/apis/models/v2/workspaces/default/models", "/apis/files/v2/workspaces/default/filesets"
INSIDE = [
    "127.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "100.64.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "metadata.google.internal",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127.0.0.1%00.example.com",
]
FORMS = [
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "ftp://example.com/",
    "data:,x",
    "http:127.0.0.1",
    "http:///x",
    "//example.com",
    "http://user:pass@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1\\@example.com/",
    "http://exa mple.com/",
    "http://example.com:99999/",
    "http://example.com/\r\nX: y",
    "http://[::1/",
    "http://[fe80::1%25eth0]/",
    "javascript:alert(1)",
    "",
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that may send anywhere but into its own network."""
    with world(tmp_path_factory.mktemp("outbound"), "files.source_hosts=*") as made:
        yield made


def _writes(made: World, url: str) -> Iterator[tuple[str, Any]]:
    yield PROVIDERS, {"name": made.name("p"), "host_url": url}
    yield WEBHOOKS, {"name": made.name("w"), "url": url}
    yield MODELS, {"name": made.name("m"), "api_endpoint": {"url": url}}
    yield FILESETS, {"name": made.name("f"), "storage": {"type": "https", "url": url}}


@pytest.mark.parametrize("host", INSIDE)
def test_addresses_of_its_own_network_are_refused_however_they_are_written(guarded: World, host: str) -> None:
    for scheme in ("http", "https"):
        for path, body in _writes(guarded, f"{scheme}://{host}/"):
            answer = guarded.root.post(path, json=body)
            if answer.status_code == 201 and not host[0].isdigit() and "[" not in host:
                continue  # a name: it is looked up when it is sent to, and held to the policy then
            assert 400 <= answer.status_code < 500 or answer.status_code == 502, (path, host, answer.text)


@pytest.mark.parametrize("url", FORMS)
def test_what_is_no_address_of_the_web(guarded: World, url: str) -> None:
    for path, body in _writes(guarded, url):
        answer = guarded.root.post(path, json=body)
        assert 400 <= answer.status_code < 500, (path, url, answer.status_code, answer.text)


def test_names_that_lead_inside_are_held_to_the_policy_when_they_are_sent_to(guarded: World) -> None:
    """`localhost` is a name like any other: it passes no check of addresses when it is written."""
    for host in ("localhost", "localhost.", "ip6-localhost"):
        name = guarded.name("inside")
        body = {"name": name, "host_url": f"http://{host}:{guarded.url.rpartition(':')[2]}"}
        if guarded.root.post(PROVIDERS, json=body).status_code != 201:
            continue
        answer = guarded.root.post(
            f"/apis/inference-gateway/v2/workspaces/default/provider/{name}/-/v1/chat/completions",
            json={"model": "x", "messages": []},
        )
        assert answer.status_code >= 500, answer.text
        assert "private" in answer.text or "not known" in answer.text or "refused" in answer.text, answer.text


class Redirecting:
    """A provider, receiver and source that sends everybody on to `to`; `asked` are the paths that came."""

    def __init__(self, to: str) -> None:
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                self.rfile.read(length)
                outer.asked.append((self.command, self.path))
                self.send_response(307)
                self.send_header("location", to)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = do_HEAD = _answer  # noqa: N815 - so the library calls them

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_nobody_is_followed_where_they_send_us(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One address is allowed; where it leads to is not, and is not asked, nor told."""
    inside = Redirecting("http://127.0.0.2/never")
    settings = ("outbound.allowed_networks=127.0.0.1/32", "files.source_hosts=*")
    with world(tmp_path_factory.mktemp("redirect"), *settings) as made:
        outside = Redirecting(inside.url.replace("127.0.0.1", "127.0.0.2") + "/secret")
        again = Redirecting(f"{inside.url}/allowed-but-not-asked-for")
        try:
            for number, at in enumerate((outside, again)):
                made.root.post(PROVIDERS, json={"name": f"p{number}", "host_url": at.url})
                made.root.post(WEBHOOKS, json={"name": f"w{number}", "url": at.url, "kinds": ["model"]})
                model = {"name": f"m{number}", "model_providers": [f"default/p{number}"]}
                assert made.root.post(MODELS, json=model).status_code == 201
                answer = made.root.post("/v1/chat/completions", json={"model": f"m{number}", "messages": []})
                assert answer.status_code >= 500, answer.text
                raw = f"/apis/inference-gateway/v2/workspaces/default/provider/p{number}/-/v1/models"
                answer = made.root.get(raw)
                assert "location" not in answer.headers or answer.status_code == 307
                source = {"name": f"f{number}", "storage": {"type": "https", "url": f"{at.url}/x"}}
                made.root.post(FILESETS, json=source)
            time.sleep(1.0)
            assert any(method == "POST" for method, _ in outside.asked)
            assert not any("secret" in path for _, path in inside.asked)
            assert not any(method == "POST" for method, _ in inside.asked)
        finally:
            for one in (inside, outside, again):
                one.close()


def test_a_path_leads_out_of_no_provider(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The raw route joins a path to the provider's own, and stays below it."""
    seen = Redirecting("http://127.0.0.2/")
    with world(tmp_path_factory.mktemp("paths"), "outbound.allowed_networks=127.0.0.1/32") as made:
        made.root.post(PROVIDERS, json={"name": "p", "host_url": f"{seen.url}/base"})
        begin = "/apis/inference-gateway/v2/workspaces/default/provider/p/-/"
        for path in (
            *("v1/../../admin", "..%2f..%2fadmin", "%2e%2e/%2e%2e/admin", "v1/%2e%2e/%2e%2e/admin", "//evil.example/x"),
            *("v1/x%0d%0aX-Evil: y", "v1/..;/admin", "http://evil.example/", "v1/\\..\\..\\admin", "%252e%252e/admin"),
        ):
            made.root.post(begin + path, json={})
        for _, path in seen.asked:
            assert path.startswith("/base/"), path
            assert "/../" not in path
            assert "\r" not in path
        seen.close()


def test_headers_of_records_split_nothing(guarded: World) -> None:
    for headers in (
        {"X-A": "b\r\nX-Evil: y"},
        {"X-A\r\nX-Evil": "y"},
        {"X A": "y"},
        {"Host": "evil.example"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
    ):
        body = {"name": guarded.name("h"), "host_url": "https://example.com", "default_extra_headers": headers}
        answer = guarded.root.post(PROVIDERS, json=body)
        assert answer.status_code == 422, (headers, answer.text)
        assert "evil" not in json.dumps(dict(answer.headers)).lower()
    for auth in (
        "Authorization: {{ a\r\nb }}",
        "{{ auth_secret }}",
        "X: {{ auth_secret }}\r\nY: z",
        "X: {% x %}{{ auth_secret }}",
    ):
        body = {"name": guarded.name("h"), "host_url": "https://example.com", "auth_header_format": auth}
        assert guarded.root.post(PROVIDERS, json=body).status_code in {201, 422}
