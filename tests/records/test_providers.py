"""What a provider may say: pure functions over texts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import InvalidInput
from steelyard.records.patch import read_new
from steelyard.records.providers import (
    DEFAULT_AUTH_HEADER,
    MODEL_PROVIDER,
    AuthHeader,
    parse_auth_header,
    served_by,
)

URL = "https://api.example.com/v1"


def faults(**fields: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Place and type of what is wrong with a provider of these fields."""
    with pytest.raises(InvalidInput) as refused:
        read_new(MODEL_PROVIDER, {"name": "p", "host_url": URL, **fields}, "home", "refuse")
    return [(fault.location[1:], fault.type) for fault in refused.value.faults]


def taken(**fields: Any) -> dict[str, Any]:
    """The fields of a provider that is taken."""
    return dict(read_new(MODEL_PROVIDER, {"name": "p", "host_url": URL, **fields}, "home", "refuse")[1].values)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (DEFAULT_AUTH_HEADER, AuthHeader("Authorization", "Bearer ", "")),
        ("X-Api-Key: {{ auth_secret }}", AuthHeader("X-Api-Key", "", "")),
        ("api-key:{{auth_secret}}", AuthHeader("api-key", "", "")),
        ("Authorization: Key   id={{   auth_secret }}; v=1", AuthHeader("Authorization", "Key   id=", "; v=1")),
        ("X-K: {{ auth_secret}}  ", AuthHeader("X-K", "", "")),
        ("X-K: a:b {{ auth_secret }}", AuthHeader("X-K", "a:b ", "")),
    ],
)
def test_a_template_is_a_header_with_one_placeholder(text: str, header: AuthHeader) -> None:
    assert parse_auth_header(text) == header


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bearer {{ auth_secret }}",
        "Authorization: Bearer",
        "Authorization: {{ auth_secret }}{{ auth_secret }}",
        "Authorization: {{ secret }}",
        "Authorization: {{ auth_secret | upper }}",
        "Authorization: {{ auth_secret.__class__ }}",
        "Authorization: {{ Auth_Secret }}",
        "Authorization: { auth_secret }",
        "Authorization: {{{ auth_secret }}}",
        "Authorization: {{ auth_secret }} {{ 7 * 7 }}",
        "Authorization: {% if 1 %}{{ auth_secret }}{% endif %}",
        "Authorization: {# no #}{{ auth_secret }}",
        "{{ auth_secret }}: x",
        "X-{{ auth_secret }}: x",
        ": {{ auth_secret }}",
        "X Key: {{ auth_secret }}",
        "X-Key : {{ auth_secret }}",
        "X-Kéy: {{ auth_secret }}",
        "X-Key: {{ auth_secret }}\r\nX-Other: 1",
        "X-Key: \n{{ auth_secret }}",
        "X-Key: {{\nauth_secret }}",
        "X-Key: é{{ auth_secret }}",
        "X-Key: \x00{{ auth_secret }}",
        *(
            f"{name}: {{{{ auth_secret }}}}"
            for name in ("Host", "content-length", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Cookie")
        ),
        *(
            f"{name}: {{{{ auth_secret }}}}"
            for name in ("Transfer-Encoding", "Proxy-Authorization", "Expect", "Set-Cookie")
        ),
    ],
)
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|not|is"):
        parse_auth_header(text)
    if text:
        assert faults(auth_header_format=text) == [(("auth_header_format",), "auth_header_format")]


@given(st.text())
def test_a_template_never_makes_more_than_one_line(text: str) -> None:
    try:
        header = parse_auth_header(text)
    except ValueError:
        return
    made = f"{header.name}: {header.prefix}SECRET{header.suffix}"
    assert made.isascii()
    assert made.isprintable()


@pytest.mark.parametrize("field", ["default_extra_headers", "required_extra_headers"])
@pytest.mark.parametrize(
    "headers",
    [
        *({name: "x"} for name in ("Connection", "keep-alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade")),
        *({name: "x"} for name in ("Proxy-Authorization", "proxy-connection", "HOST", "Content-Length", "Expect")),
        *({name: "x"} for name in ("Authorization", "authorization", "Cookie", "Set-Cookie", "Content-Encoding")),
        *({name: "x"} for name in ("", "a b", "a:", "é", "a\n", "a\r\nb")),
        *({"X-A": value} for value in ("a\r\nX-B: 1", "\n", "a\x00", "é", " a", "a ", "\t")),
        {"X-A": "1", "x-a": "2"},
    ],
)
def test_headers_that_are_not_for_a_record_to_set(field: str, headers: dict[str, str]) -> None:
    assert faults(**{field: headers}) == [((field,), "header")]


def test_headers_that_are() -> None:
    headers = {"X-Team": "search, and others", "OpenAI-Organization": "org", "traceparent": "00-1", "X-Empty": ""}
    assert taken(default_extra_headers=headers)["default_extra_headers"] == headers
    assert faults(default_extra_headers={"X-A": 5}) == [(("default_extra_headers", "X-A"), "string_type")]


@pytest.mark.parametrize("field", ["default_extra_body", "required_extra_body"])
def test_a_body_may_set_anything_but_the_route(field: str) -> None:
    body = {"stream": True, "temperature": 0.1, "chat_template_kwargs": {"model": "inside is another thing"}}
    assert taken(**{field: body})[field] == body
    assert faults(**{field: {"model": "other"}}) == [((field,), "extra_body")]
    assert faults(**{field: [1]}) == [((field,), "dict_type")]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "file:///etc/passwd",
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h:99999",
        "https://h/a b",
        "https://h/?a=1",
        "https://h/v1#x",
        "https://h/?",
        "https://h/#",
        "https://h\n",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    (fault,) = faults(host_url=url)
    assert fault[0] == ("host_url",)


def test_a_provider_needs_an_address_and_a_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_new(MODEL_PROVIDER, {}, "home", "refuse")
    assert [fault.location[1:] for fault in refused.value.faults] == [("host_url",), ("name",)]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"weight": -1}, ("weight",)),
        ({"weight": 1001}, ("weight",)),
        ({"limits": {"max_concurrency": 0}}, ("limits", "max_concurrency")),
        ({"limits": {"max_queue": -1}}, ("limits", "max_queue")),
        ({"limits": {"queue_seconds": 0}}, ("limits", "queue_seconds")),
        ({"timeouts": {"total_seconds": 0}}, ("timeouts", "total_seconds")),
        ({"timeouts": {"total": 1}}, ("timeouts", "total")),
        ({"status": "FINE"}, ("status",)),
        ({"served_models": [{"model_entity_id": "m"}]}, ("served_models", 0, "served_model_name")),
        ({"auth_context": {}}, ("auth_context",)),
    ],
)
def test_values_out_of_bounds(fields: dict[str, Any], place: tuple[str | int, ...]) -> None:
    assert [found for found, _ in faults(**fields)] == [place]


def test_limits_have_their_defaults() -> None:
    assert taken(limits={"max_concurrency": 8})["limits"] == {
        "max_concurrency": 8,
        "max_queue": 100,
        "queue_seconds": 30,
    }


def _served(*names: str) -> list[dict[str, str]]:
    return [{"model_entity_id": name, "served_model_name": f"upstream {name}"} for name in names]


def test_what_is_served_is_spelled_in_one_way() -> None:
    fields = taken(served_models=_served("m", "w/n", "base&adapters/a/x"))
    assert [one["model_entity_id"] for one in fields["served_models"]] == ["home/m", "w/n", "home/base&adapters/a/x"]
    assert [str(model) for model in served_by(fields, "home")] == ["home/m", "w/n"]


@pytest.mark.parametrize("names", [("m", "home/m"), ("a/b/c",), ("m@prod",), ("x&adapters/y/z/0",)])
def test_what_cannot_be_served(names: tuple[str, ...]) -> None:
    assert faults(served_models=_served(*names)) == [
        (("served_models", len(names) - 1, "model_entity_id"), "reference")
    ]


def test_what_a_provider_links_to() -> None:
    fields = MODEL_PROVIDER.complete(
        taken(project="pr", api_key_secret_name="key", served_models=_served("m", "base&adapters/a/x"))
    )
    assert {(link.field, link.target_kind, str(link.target)) for link in MODEL_PROVIDER.links(fields, "home")} == {
        ("project", "project", "home/pr"),
        ("api_key_secret_name", "platform-secret", "home/key"),
        ("served_models", "model", "home/m"),
        ("served_models", "model", "home/base"),
        ("served_models", "adapter", "a/x"),
    }
