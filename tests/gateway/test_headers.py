"""Which headers go through, both ways, and what stands in the head of a request to an upstream."""

import re

import pytest

from steelyard.gateway.calls import raw_request_for, request_for
from steelyard.gateway.headers import Header, HeaderLists, encoded
from tests.gateway.asked import CHAT, call, candidate, target

PASS = [
    *("anthropic-version", "anthropic-beta", "openai-beta", "x-request-id", "traceparent", "tracestate"),
    "accept-language",
]
ONLY_RAW = ["content-type", "accept", "range", "if-none-match", "if-match"]
SECRETS = [
    *("authorization", "x-api-key", "api-key", "cookie", "cookie2", "set-cookie", "proxy-authorization"),
    *("x-steelyard-subject", "x-steelyard-proxy-secret", "x-nmp-principal-id", "x-nmp-principal-groups"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
    *("x-forwarded-user", "forwarded", "x-real-ip", "via"),
]
OF_THE_CONNECTION = [
    *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "proxy-connection"),
    *("host", "content-length", "accept-encoding", "content-encoding"),
]


def _named(*names: str) -> list[Header]:
    return [(name.encode(), b"v") for name in names]


def test_what_a_client_says_that_an_upstream_may_hear() -> None:
    sent = HeaderLists().to_upstream(_named(*PASS, *ONLY_RAW, *SECRETS, *OF_THE_CONNECTION, "user-agent", "x-own"))
    assert sent == _named(*PASS)


def test_what_goes_on_where_the_body_is_the_clients_own() -> None:
    sent = HeaderLists().to_upstream(_named(*PASS, *ONLY_RAW, *SECRETS, *OF_THE_CONNECTION, "x-own"), raw=True)
    assert sent == _named(*PASS, *ONLY_RAW)


def test_what_an_upstream_says_that_a_client_may_hear() -> None:
    back = ["retry-after", "retry-after-ms", "openai-processing-ms", "x-ratelimit-limit-requests"]
    back += ["anthropic-ratelimit-tokens-remaining", "x-should-retry", "content-type"]
    hidden = ["set-cookie", "server", "date", "via", "connection", "transfer-encoding", "content-length", "x-own"]
    hidden += ["openai-organization", "strict-transport-security", "access-control-allow-origin", "location"]
    assert HeaderLists().to_client(_named(*back, *hidden)) == _named(*back)
    of_bodies = ["content-encoding", "etag", "content-range", "content-disposition", "last-modified"]
    assert HeaderLists().to_client(_named(*of_bodies)) == []
    assert HeaderLists().to_client(_named(*of_bodies, *hidden), raw=True) == _named(*of_bodies)


@pytest.mark.parametrize("name", ["x-request-id", "request-id"])
def test_an_upstreams_request_id_goes_back_under_a_name_of_its_own(name: str) -> None:
    assert HeaderLists().to_client([(name.encode(), b"req_up")]) == [(b"x-upstream-request-id", b"req_up")]


def test_settings_add_to_both_lists_whatever_their_spelling() -> None:
    lists = HeaderLists(["X-Own", "x-second"], ["X-Back"])
    for raw in (False, True):
        assert lists.to_upstream(_named("x-own", "x-second", "x-back"), raw=raw) == _named("x-own", "x-second")
        assert lists.to_client(_named("x-own", "x-back"), raw=raw) == _named("x-back")


@pytest.mark.parametrize("name", [*SECRETS, *OF_THE_CONNECTION])
def test_no_setting_opens_what_is_closed(name: str) -> None:
    for spelling in (name, name.upper(), name.title()):
        lists = HeaderLists([spelling], [spelling])
        for raw in (False, True):
            assert lists.to_upstream(_named(name), raw=raw) == []
            if name != "content-encoding" or not raw:  # which goes back with the bytes that it speaks of
                assert lists.to_client(_named(name), raw=raw) == []


@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\nb", b"a\rb", b"a\x00b", b"a\x7fb", b"\x1b[2J"])
def test_a_value_that_could_be_more_than_one_header_goes_nowhere(value: bytes) -> None:
    assert HeaderLists().to_upstream([(b"x-request-id", value)], raw=True) == []
    assert HeaderLists().to_client([(b"retry-after", value)], raw=True) == []
    with pytest.raises(ValueError, match="cannot be sent"):
        encoded("x-own", value.decode("latin-1"))


@pytest.mark.parametrize(
    "name",
    [*(name for name in OF_THE_CONNECTION if name != "accept-encoding"), "Cookie", "Host", "x y", "x\r\ny", "x:y", ""],
)
def test_a_record_sets_no_header_that_is_not_its_own(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        encoded(name, "v")


def test_what_a_record_may_set_is_sent_as_it_says() -> None:
    assert encoded("X-Forwarded-For", "a") == (b"x-forwarded-for", b"a")
    assert encoded("Authorization", "Bearer \u00e9") == (b"authorization", b"Bearer \xe9")
    with pytest.raises(ValueError, match="ordinal"):
        encoded("x-own", "\u4e16")


def test_a_key_that_no_header_can_hold_is_a_fault_that_does_not_tell_it() -> None:
    for key in ("se\r\ncret", "se\u4e16cret"):
        faulty = target(auth=("Authorization", key))
        assert faulty.fault is not None
        assert "header" in faulty.fault.message
        assert "cret" not in faulty.fault.message


# The head of a request.


def _head(wire: bytes) -> tuple[str, dict[str, str]]:
    lines = wire.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    names = [line.partition(": ")[0] for line in lines[1:]]
    assert len(names) == len(set(names)), "each header once"
    assert all(re.fullmatch(r"[a-z0-9-]+: \S.*", line) for line in lines[1:])
    return lines[0], dict(line.split(": ", 1) for line in lines[1:])


def test_a_request_has_these_headers_and_no_others() -> None:
    head, body = request_for(call(), candidate(), target("http://127.0.0.1:1/base", auth=("X-Key", "s")), ())
    line, headers = _head(head)
    assert line == "POST /base/v1/chat/completions HTTP/1.1"
    agent = headers.pop("user-agent")
    assert agent.startswith("steelyard/")
    assert headers == {
        "host": "127.0.0.1:1",
        "x-key": "s",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "x-request-id": "req-1",
        "content-length": str(len(body)),
    }


def test_the_key_is_sent_in_the_usual_headers_too() -> None:
    for name in ("Authorization", "X-Api-Key", "Api-Key"):
        _, headers = _head(request_for(call(), candidate(), target(auth=(name, "s")), ())[0])
        assert headers[name.lower()] == "s"


def test_a_stream_is_asked_for_as_one() -> None:
    _, headers = _head(request_for(call({**CHAT, "stream": True}), candidate(), target(), ())[0])
    assert headers["accept"] == "text/event-stream"


def test_an_upstream_of_anthropics_is_told_a_version() -> None:
    model = candidate(format="ANTHROPIC_MESSAGES")
    asked = call({**CHAT, "max_tokens": 1}, "anthropic.messages")
    assert _head(request_for(asked, model, target(), ())[0])[1]["anthropic-version"] == "2023-06-01"
    own = call({**CHAT, "max_tokens": 1}, "anthropic.messages", [(b"anthropic-version", b"2024-01-01")])
    assert _head(request_for(own, model, target(), ())[0])[1]["anthropic-version"] == "2024-01-01"
    assert "anthropic-version" not in _head(request_for(call(), candidate(), target(), ())[0])[1]
    said = {"Anthropic-Version": "2025-01-01"}
    for place in (target(default_headers=said), target(required_headers=said)):
        assert _head(request_for(asked, model, place, ())[0])[1]["anthropic-version"] == "2025-01-01"


def test_a_records_headers_stand_once_each_before_or_behind_what_the_client_says() -> None:
    ours = target(
        auth=("X-Key", "secret"),
        default_headers={"OpenAI-Beta": "default", "X-New": "default", "Content-Type": "x", "User-Agent": "mine"},
        required_headers={"Anthropic-Beta": "required", "Accept": "required", "X-Key": "required"},
    )
    asked = call(headers=[(b"openai-beta", b"client"), (b"anthropic-beta", b"client"), (b"x-key", b"client")])
    _, headers = _head(request_for(asked, candidate(), ours, ())[0])
    assert headers["openai-beta"] == "client"
    assert headers["x-new"] == "default"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "mine"
    assert headers["anthropic-beta"] == "required"
    assert headers["accept"] == "required"
    assert headers["x-key"] == "secret"


def test_a_client_cannot_send_a_key_in_the_place_of_the_providers() -> None:
    """Also where the settings let a header of that name through."""
    asked = call(headers=[(b"x-goog-api-key", b"client")])
    _, headers = _head(request_for(asked, candidate(), target(auth=("X-Goog-Api-Key", "secret")), ())[0])
    assert headers["x-goog-api-key"] == "secret"


def test_a_trace_takes_the_place_of_the_clients() -> None:
    asked = call(headers=[(b"traceparent", b"client")])
    _, headers = _head(request_for(asked, candidate(), target(), ((b"traceparent", b"ours"),))[0])
    assert headers["traceparent"] == "ours"


def test_our_request_id_goes_on_whatever_the_client_says() -> None:
    _, headers = _head(request_for(call(headers=[(b"x-request-id", b"client")]), candidate(), target(), ())[0])
    assert headers["x-request-id"] == "req-1"


def test_a_raw_request_is_the_clients_own() -> None:
    asked = call(
        dialect="other",
        headers=[(b"content-type", b"text/csv"), (b"accept", b"image/png")],
        method="PUT",
        query=b"a=b&c",
        raw=b"1,2",
        body=None,
    )
    asked.body = None
    head, data = raw_request_for(asked, target(auth=("Authorization", "Bearer s")), ())
    line, headers = _head(head)
    assert (line, data) == ("PUT /v1/other?a=b&c HTTP/1.1", b"1,2")
    assert (headers["content-type"], headers["accept"], headers["content-length"]) == ("text/csv", "image/png", "3")
    assert headers["authorization"] == "Bearer s"


def test_the_query_of_an_endpoint_goes_before_the_requests() -> None:
    azure = target("http://127.0.0.1:1/d/chat/completions?api-version=1")
    assert _head(request_for(call(), candidate(), azure, ())[0])[0] == "POST /d/chat/completions?api-version=1 HTTP/1.1"
    both = _head(request_for(call(query=b"beta=true"), candidate(), azure, ())[0])[0]
    assert both == "POST /d/chat/completions?api-version=1&beta=true HTTP/1.1"


def test_requests_are_told_apart_however_many_begin_alike() -> None:
    """The beginnings of requests are kept; each is that of its own path, method and kind."""
    place = target()
    for number in range(100):
        for method in ("GET", "POST"):
            asked = call(dialect="other", path=f"v1/x/{number}", method=method)
            assert _head(raw_request_for(asked, place, ())[0])[0] == f"{method} /v1/x/{number} HTTP/1.1"
    for streams, accept in ((True, "text/event-stream"), (False, "application/json")):
        assert _head(request_for(call({**CHAT, "stream": streams}), candidate(), place, ())[0])[1]["accept"] == accept
