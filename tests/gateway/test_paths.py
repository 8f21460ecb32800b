"""Where a request goes: below the base of the upstream's URL, whatever its path says."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import InvalidParameters
from steelyard.gateway.paths import OPERATIONS, PATHS, base_of, normal_path


@pytest.mark.parametrize(
    ("url", "path", "target"),
    [
        ("http://up", "v1/chat/completions", b"/v1/chat/completions"),
        ("http://up/", "v1/chat/completions", b"/v1/chat/completions"),
        ("http://up/base", "v1/chat/completions", b"/base/v1/chat/completions"),
        ("http://up/v1", "v1/chat/completions", b"/v1/chat/completions"),
        ("http://up/v1/", "v1/models", b"/v1/models"),
        ("http://up/api/v1", "v1/models", b"/api/v1/models"),
        ("http://up/v1", "v1", b"/v1/"),
        ("http://up/v1", "v1beta/models", b"/v1/v1beta/models"),
        ("http://up/v1", "health", b"/v1/health"),
        ("http://up/v12", "v1/models", b"/v12/v1/models"),
        ("http://up/a%2Fb", "v1/models", b"/a%2Fb/v1/models"),
        ("http://up/caf\u00e9", "v1/models", b"/caf%C3%A9/v1/models"),
    ],
)
def test_a_v1_that_both_have_stands_once(url: str, path: str, target: bytes) -> None:
    assert base_of(url).join(path) == target


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_url_that_names_an_operation_is_the_base_of_all(operation: str, slash: str) -> None:
    named = base_of(f"https://up/api/{operation}{slash}")
    assert named.join(operation) == f"/api/{operation}".encode()
    assert named.join("v1/models") == b"/api/v1/models"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_url_that_names_an_operation_without_a_version_is_asked_at_just_that_url(operation: str) -> None:
    tail = operation.removeprefix("v1/")
    assert base_of(f"https://up/inference/{tail}").join(operation) == f"/inference/{tail}".encode()
    assert base_of(f"https://up/v1beta/openai/{tail}").join(operation) == f"/v1beta/openai/{tail}".encode()


def test_the_host_keeps_its_port_and_the_query_is_kept() -> None:
    assert base_of("http://up:8080/v1").host == b"up:8080"
    assert base_of("http://[::1]:8080/v1").host == b"[::1]:8080"
    azure = base_of("https://up/openai/deployments/d/chat/completions?api-version=2024-10-21")
    assert azure.join("v1/chat/completions") == b"/openai/deployments/d/chat/completions"
    assert azure.query == b"api-version=2024-10-21"
    assert base_of("https://up/v1").query == b""


@pytest.mark.parametrize(
    "path",
    [
        *("..", ".", "../x", "v1/../x", "v1/./x", "v1/..", "/../x", "v1//../x"),
        *("v1/%2e%2e/x", "v1/.%2e/x", "%2E%2E/x", "v1/%2e/x", "v1/%252e%252e/x", "v1/%25252e%25252e/x"),
        *("v1/a%2f..%2fb", "v1/a%252f..%252fb", "v1/..%2fx", "v1/%2e%2e%2fx", "v1/x%2f%2e%2e"),
        *("v1\\..\\x", "..\\x", "v1/..%5cx", "v1/a%5c..%5cb", "v1/%2e%2e%255cx", "\\\\host\\share"),
        *("v1/..;/x", "v1/..;a=b/x", "v1/%2e%2e%3b/x", "v1/.;x/y"),
        *("v1/%" + "25" * 5 + "2e/x", "v1/%" + "25" * 9 + "20/x"),
        *("v1/a\x00b", "v1/a\nb", "v1/a\rb", "v1/a\x7fb", "v1/a\tb"),
    ],
)
def test_a_path_that_could_leave_the_base_is_refused(path: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        normal_path(path)
    assert refused.value.faults[0].location == ("path", "trailing_uri")


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("v1/models", "v1/models"),
        ("/v1/models", "v1/models"),
        ("///v1/models", "v1/models"),
        ("v1/models/org/name:tag", "v1/models/org/name:tag"),
        ("v1/a b", "v1/a%20b"),
        ("v1/a?b#c", "v1/a%3Fb%23c"),
        ("v1/gr\u00fc\u00dfe", "v1/gr%C3%BC%C3%9Fe"),
        ("v1/100%", "v1/100%25"),
        ("v1/a%2Fb", "v1/a%252Fb"),
        ("v1/x..y/...", "v1/x..y/..."),
        ("v1/@me;a=b", "v1/@me;a=b"),
        ("", ""),
    ],
)
def test_any_other_path_is_sent_with_what_needs_it_encoded(path: str, sent: str) -> None:
    assert normal_path(path) == sent


@settings(deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "a", "%2e", "%2E", "%2f", "%5c", "/", "\\", ";", "%25", "%3b", "v1"])))
def test_no_server_reads_a_way_out_of_what_passes(parts: list[str]) -> None:
    """Whatever is sent, decoded as often as anybody might, has no segment that leads up."""
    try:
        sent = normal_path("".join(parts))
    except InvalidParameters:
        return
    read = sent
    for _ in range(20):
        segments = [segment.partition(";")[0] for segment in read.replace("\\", "/").split("/")]
        assert ".." not in segments
        read = unquote(read)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", min_codepoint=32)).filter(lambda text: "\\" not in text))
def test_a_path_arrives_as_it_was(path: str) -> None:
    try:
        sent = normal_path(path)
    except InvalidParameters:
        return
    assert unquote(sent) == path.lstrip("/")
    assert quote(sent, safe="%/:@!$&'()*+,;=-._~") == sent, "only what a path may hold"


def test_each_operation_has_a_dialect_of_its_own() -> None:
    assert {dialect: path for path, dialect in OPERATIONS.items()} == PATHS
    assert len(PATHS) == len(OPERATIONS)
