from typing import Any

import httpx
import pytest

from steelyard.cli.errors import EXIT_CODES

from .conftest import RunCli


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *[(400, 4), (413, 4), (415, 4), (422, 4), (404, 5), (409, 6), (412, 6), (401, 7), (403, 7)],
        *[(405, 1), (429, 1), (500, 1), (502, 1), (507, 1)],
    ],
)
def test_each_status_has_its_exit_code_and_one_line(cli: RunCli, status: int, code: int) -> None:
    run = cli("models", "get", "x", handler=lambda _: httpx.Response(status, json={"detail": "no", "code": "c"}))
    assert run.code == code
    assert run.code in EXIT_CODES
    assert run.out == ""
    assert run.err.startswith(f"steelyard: no ({status} c)")
    assert run.err.count("\n") == 1


def refuse(detail: Any, status: int = 422, **headers: str) -> Any:
    return lambda _: httpx.Response(status, json={"detail": detail, "code": "invalid_input"}, headers=headers)


def test_a_list_of_faults_is_joined_by_field(cli: RunCli) -> None:
    faults = [
        {"loc": ["body", "spec", "num_layers"], "msg": "a whole number is needed", "type": "int"},
        {"loc": ["body"], "msg": "too much", "type": "x"},
        {"loc": ["query", "sort"], "type": "enum"},
    ]
    run = cli("models", "get", "x", handler=refuse(faults))
    assert "spec.num_layers: a whole number is needed; body: too much; sort: enum (422" in run.err


def test_control_characters_of_an_answer_do_not_reach_the_terminal(cli: RunCli) -> None:
    run = cli("models", "get", "x", handler=refuse("a\x1b[2Jb\nc\x9bd"))
    assert "a\\x1b[2Jb c\\x9bd" in run.err


def test_412_names_the_present_etag_and_500_the_request(cli: RunCli) -> None:
    assert 'its ETag is now "r7"' in cli("models", "get", "x", handler=refuse("no", 412, ETag='"r7"')).err
    assert "req_1" in cli("models", "get", "x", handler=refuse("no", 500, **{"x-request-id": "req_1"})).err
    assert "STEELYARD_TOKEN" in cli("models", "get", "x", handler=refuse("no", 401)).err


def test_an_error_page_of_something_else_is_still_one_line(cli: RunCli) -> None:
    run = cli("models", "get", "x", handler=lambda _: httpx.Response(502, html="<h1>Bad\nGateway</h1>"))
    assert (run.code, run.err) == (1, "steelyard: the server gave no reason (502)\n")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<h1>hello</h1>"),
        httpx.Response(200, json=["a"]),
        httpx.Response(200, json={"data": 3, "pagination": {}}),
        httpx.Response(307, headers={"location": "https://elsewhere.example/"}),
    ],
)
def test_an_answer_of_something_else_is_no_traceback(cli: RunCli, answer: httpx.Response) -> None:
    run = cli("models", "list", handler=lambda _: answer)
    assert run.code == 1
    assert "--url" in run.err
    assert len(run.requests) == 1


def test_nobody_answers_says_where_and_how_to_start_one(cli: RunCli) -> None:
    def refused(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    run = cli("models", "list", "--url", "http://user:secret@example.test:1", handler=refused)
    assert run.code == 3
    assert "http://example.test:1" in run.err
    assert "steelyard serve" in run.err
    assert "secret" not in run.err


def test_a_write_without_an_answer_says_that_its_fate_is_unknown(cli: RunCli) -> None:
    def slow(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    assert "not known" in cli("models", "create", "x", handler=slow).err
    assert "not known" not in cli("models", "list", handler=slow).err


@pytest.mark.parametrize("token", ["two words", "käse", "a\nb"])
def test_a_token_that_cannot_be_sent_is_not_printed(cli: RunCli, token: str) -> None:
    run = cli("models", "list", "--token", token)
    assert run.code == 2
    assert token not in run.err


@pytest.mark.parametrize("url", ["example.test", "ftp://example.test", "http://", "http://a/?q=1", "http://[::"])
def test_an_address_that_is_none(cli: RunCli, url: str) -> None:
    assert cli("models", "list", "--url", url).code == 2


@pytest.mark.parametrize("name", ["", ".", "..", "a/b/c", "team/..", "../x"])
def test_a_name_that_would_be_another_path_is_never_sent(cli: RunCli, name: str) -> None:
    run = cli("models", "delete", name, "--yes")
    assert (run.code, run.requests) == (2, [])
