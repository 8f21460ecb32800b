"""Requests that say two things at once, that are too large, or that never end."""

import time

import pytest

from tests.access.worlds import World
from tests.attack.wires import connected, statuses, talk
from tests.gateway.upstreams import until

MODELS = b"/apis/models/v2/workspaces/default/models"
BODY = b'{"name":"smuggled"}'
SECOND = b"DELETE /apis/models/v2/workspaces/default/models/victim HTTP/1.1\r\n"


def _head(target: World, *lines: bytes, start: bytes = b"POST " + MODELS + b" HTTP/1.1") -> bytes:
    said = [start, b"Host: localhost", f"Authorization: Bearer {target.root_key}".encode()]
    return b"\r\n".join([*said, b"Content-Type: application/json", *lines, b"", b""])


def _second(target: World) -> bytes:
    return SECOND + f"Host: localhost\r\nAuthorization: Bearer {target.root_key}\r\n\r\n".encode()


@pytest.fixture
def victim(target: World) -> str:
    """A model that a smuggled request would delete."""
    path = f"{MODELS.decode()}/victim"
    target.root.post(MODELS.decode(), json={"name": "victim"})
    return path


LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
AMBIGUOUS = {
    "length and chunks": ([LENGTH, CHUNKED], b"0\r\n\r\n"),
    "chunks and length": ([CHUNKED, b"Content-Length: 5"], b"0\r\n\r\n"),
    "two lengths": ([LENGTH, b"Content-Length: 0"], BODY),
    "the same length twice": ([LENGTH, LENGTH], BODY),
    "a list of lengths": ([b"Content-Length: 19, 19"], BODY),
    "a length with a sign": ([b"Content-Length: +19"], BODY),
    "a length below zero": ([b"Content-Length: -1"], BODY),
    "a length in hexadecimal": ([b"Content-Length: 0x13"], BODY),
    "a length beyond all numbers": ([b"Content-Length: 99999999999999999999999"], BODY),
    "another encoding": ([b"Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "an encoding behind the chunks": ([b"Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
    "identity and a length": ([b"Transfer-Encoding: identity", LENGTH], BODY),
    "a space before the colon": ([b"Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    "a folded line": ([b"X-A: b\r\n c: d", LENGTH], BODY),
    "folded chunks": ([b"Transfer-Encoding:\r\n chunked"], b"0\r\n\r\n"),
    "an end of line in a chunk's extension": ([CHUNKED], b"2;\nxx\r\n0\r\n\r\n"),
    "a chunk of no size": ([CHUNKED], b"zz\r\n"),
    "a chunk of too large a size": ([CHUNKED], b"fffffffffffffffff\r\n"),
    "a chunk's size with 0x": ([CHUNKED], b"0x13\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk that does not end": ([CHUNKED], b"13\r\n" + BODY + b"XX0\r\n\r\n"),
    "a line that ends in LF": ([b"X: y\nX-Z: z", LENGTH], BODY),
    "a CR in a header": ([b"X: y\rX-Z: z", LENGTH], BODY),
    "a NUL in a header": ([b"X: y\0z", LENGTH], BODY),
    "a header without a colon": ([b"Xy", LENGTH], BODY),
    "a header without a name": ([b": y", LENGTH], BODY),
    "a space in a name": ([b"X y: y", LENGTH], BODY),
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_a_request_that_means_two_things_is_refused_and_the_connection_ended(
    target: World, victim: str, what: str
) -> None:
    lines, body = AMBIGUOUS[what]
    answer = talk(target.url, _head(target, *lines) + body + _second(target), seconds=1.5)
    assert statuses(answer)[-1] == 400
    assert len(statuses(answer)) <= 2, answer
    assert b"connection: close" in answer
    assert target.root.get(victim).status_code == 200, "the second request was done"


@pytest.mark.parametrize(
    "line",
    [
        *(b"get / HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\xff HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0"),
        *(b"GET  / HTTP/1.1", b"GET / HTTP/9.9", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"GET /\tx HTTP/1.1"),
    ],
)
def test_lines_that_are_no_request(target: World, line: bytes) -> None:
    assert statuses(talk(target.url, _head(target, start=line), seconds=1.5))[:1] in ([400], [404])


def test_an_address_in_the_request_line_is_only_a_path(target: World) -> None:
    answer = talk(target.url, _head(target, start=b"GET http://evil.example/health/live HTTP/1.1"), seconds=1.5)
    assert statuses(answer) == [200]


def test_what_stands_behind_the_body_is_no_header(target: World) -> None:
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    for trailer in (b"Authorization: Bearer x", b"X-Steelyard-Subject: admin", b"X-Request-Id: evil"):
        answer = talk(target.url, _head(target, CHUNKED) + chunk + trailer + b"\r\n\r\n", seconds=1.5)
        assert statuses(answer)[0] in {201, 409}, (trailer, answer)
        assert b"evil" not in answer
    # Nobody signs in by a trailer either.
    head = (
        b"POST "
        + MODELS
        + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + CHUNKED
        + b"\r\n\r\n"
    )
    key = f"Authorization: Bearer {target.root_key}\r\n\r\n".encode()
    assert statuses(talk(target.url, head + chunk + key, seconds=1.5)) == [401]


def test_two_credentials_are_none(target: World) -> None:
    twice = f"Authorization: Bearer {target.root_key}".encode()
    answer = talk(target.url, _head(target, twice, start=b"GET " + MODELS + b" HTTP/1.1"), seconds=1.5)
    assert statuses(answer) == [401]


@pytest.mark.parametrize(
    "lines",
    [
        [b"X: " + b"a" * 70_000],
        [b"X: " + b"a" * 400_000],
        [b"X-%d: y" % number for number in range(20_000)],
        [b"Cookie: " + b"a=b; " * 20_000],
    ],
    ids=["one", "huge", "many", "cookies"],
)
def test_heads_that_are_too_large(target: World, lines: list[bytes]) -> None:
    answer = talk(target.url, _head(target, *lines), seconds=3)
    assert statuses(answer) == [431]
    assert b'"code":"head_too_large"' in answer


def test_a_path_that_is_too_long(target: World) -> None:
    start = b"GET /" + b"a" * 300_000 + b" HTTP/1.1"
    assert statuses(talk(target.url, _head(target, start=start), seconds=3)) == [431]


def test_a_head_that_comes_in_many_pieces_is_bounded(target: World) -> None:
    pieces = [_head(target)[:-2], *[b"X: " + b"a" * 20_000 + b"\r\n"] * 6]
    assert statuses(talk(target.url, *pieces, pause=0.05, seconds=3)) == [431]


def test_a_head_that_is_large_and_allowed(target: World) -> None:
    head = _head(target, b"X: " + b"a" * 60_000, start=b"GET /health/live HTTP/1.1")
    assert statuses(talk(target.url, head, seconds=1.5)) == [200]
    assert statuses(talk(target.url, head[:30_000], head[30_000:], pause=0.1, seconds=1.5)) == [200]


@pytest.mark.parametrize(
    "pieces",
    [(), (b"G",), (b"GET / HTTP/1.1\r\nHost: localhost\r\n",), (b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 30)],
    ids=["nothing", "a letter", "half a head", "a line at a time"],
)
def test_whoever_keeps_a_head_back_is_let_go(target: World, pieces: tuple[bytes, ...]) -> None:
    started = time.monotonic()
    assert talk(target.url, *pieces, pause=0.15, seconds=10) == b""
    assert time.monotonic() - started < 6


def test_whoever_keeps_a_body_back_is_let_go(target: World) -> None:
    started = time.monotonic()
    assert statuses(talk(target.url, _head(target, LENGTH) + b"{", seconds=10)) == []
    assert time.monotonic() - started < 6


def test_whoever_sends_a_body_by_drips_is_let_go(target: World) -> None:
    started = time.monotonic()
    pieces = [_head(target, b"Content-Length: 100"), *[b" "] * 40]
    assert statuses(talk(target.url, *pieces, pause=0.35, seconds=10)) == []
    assert time.monotonic() - started < 9


def test_a_body_that_comes_slowly_and_comes_is_taken(target: World) -> None:
    pieces = [_head(target, LENGTH), *(BODY[at : at + 1] for at in range(len(BODY)))]
    assert statuses(talk(target.url, *pieces, pause=0.15, seconds=1))[0] in {201, 409}


def test_a_connection_that_has_asked_may_wait(target: World) -> None:
    health = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert statuses(talk(target.url, health, health, pause=2.5, seconds=1.0)) == [200, 200]


def test_many_who_wait_keep_nobody_else_waiting(target: World) -> None:
    with connected(target.url, 200) as waiting:
        for one in waiting:
            one.sendall(b"GET / HTTP/1.1\r\nX-")
        started = time.monotonic()
        assert target.root.get("/health/live").status_code == 200
        assert time.monotonic() - started < 2


def test_more_connections_than_there_may_be_are_turned_away_and_the_others_served(target: World) -> None:
    health = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert target.root.get("/health/live").status_code == 200
    with connected(target.url, 420):
        answer = talk(target.url)
        assert statuses(answer) == [503]
        assert b'"code":"too_many_connections"' in answer
        assert b"retry-after: 1" in answer
        assert target.root.get("/health/live").status_code == 200, "who is connected is answered"
    assert "limits.connections" in target.server.log
    until(lambda: statuses(talk(target.url, health, seconds=0.5)) == [200])


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, gzip"])
def test_bodies_that_unfold_are_not_taken(target: World, encoding: str) -> None:
    import gzip  # noqa: PLC0415

    bomb = gzip.compress(b" " * 50_000_000)
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    for path in (MODELS.decode(), "/v1/chat/completions", "/apis/steelyard/v1/workspaces/default:batch"):
        answer = target.root.post(path, content=bomb, headers=headers)
        assert answer.status_code in {400, 415}, answer.text


def test_the_log_has_a_line_for_each_request_whatever_its_path_holds(target: World) -> None:
    for path in ("/%0d%0aINFO:%20forged", "/%1b[31m", "/%00", "/%e2%80%a8x", "/%ff%fe"):
        answer = target.root.get(path)
        assert answer.status_code == 404
        assert "\r\n" not in answer.headers.get("location", "")
    for name in ("a%0d%0aSet-Cookie:%20x=y", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e"):
        answer = target.root.get(f"{MODELS.decode()}/{name}")
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers
    time.sleep(1.2)
    lines = target.server.log.splitlines()
    assert not any(line.startswith("INFO: forged") for line in lines)
    assert "\x1b" not in target.server.log


@pytest.mark.parametrize(
    "path",
    [
        "/-/../../../../etc/passwd",
        "/-/..%2f..%2fmaster.key",
        "/-/%2e%2e/%2e%2e/master.key",
        "/-//etc/passwd",
        "/-/a/../../b",
        "/-/a%00b",
        "/-/a\\..\\b",
    ],
)
def test_paths_of_files_lead_out_of_nothing(target: World, path: str) -> None:
    filesets = "/apis/files/v2/workspaces/default/filesets"
    target.root.post(filesets, json={"name": "escape"})
    for method in ("GET", "PUT", "DELETE"):
        answer = target.root.request(method, f"{filesets}/escape{path}", content=b"x" if method == "PUT" else None)
        assert answer.status_code in {200, 307, 400, 404, 405, 409}, answer.text
        assert "root:" not in answer.text
    inside = {one.name for one in target.server.data_dir.iterdir()}
    assert "passwd" not in inside
    assert not (target.server.data_dir.parent / "master.key").exists()
