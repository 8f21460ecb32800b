"""Walks by cursor: while others write, no row is seen twice, and none that is there throughout is missed."""

import base64
import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.paths import WORKSPACES, faults, made, models, prompts

SORTS = ("name", "-name", "created_at", "-created_at")
Between = Callable[[int], None]


def walk(
    http: httpx.Client, path: str, query: Mapping[str, str | int], between: Between = lambda page: None
) -> list[dict[str, Any]]:
    """All rows of a walk; `between` runs after each page."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for page in range(1, 10_000):
        answer = http.get(path, params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["pagination"]["page"] == page
        assert body["pagination"]["current_page_size"] == len(body["data"]) <= int(query["page_size"])
        rows += body["data"]
        following = body["pagination"]["next_cursor"]
        if following is None:
            return rows
        assert body["data"], "a page that has a next one is not empty"
        cursor = {"cursor": following}
        between(page)
    raise AssertionError("the walk does not end")


def names_of(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


@pytest.fixture(scope="module")
def home(http: httpx.Client) -> str:
    """A workspace for the walks that hypothesis takes, emptied after each."""
    made(http, WORKSPACES, name="walks")
    return "walks"


Write = tuple[str, int]
writes = st.lists(st.tuples(st.sampled_from(["create", "patch", "delete"]), st.integers(0, 30)), max_size=6)


@settings(max_examples=30, deadline=None)
@given(
    start=st.sets(st.integers(0, 30), max_size=20),
    sort=st.sampled_from(SORTS),
    size=st.integers(1, 6),
    pages=st.lists(writes, max_size=12),
)
def test_writes_between_pages(
    http: httpx.Client, home: str, start: set[int], sort: str, size: int, pages: list[list[Write]]
) -> None:
    path = models(home)
    for number in sorted(start, key=lambda number: number * 17 % 31):
        made(http, path, name=f"m{number:02}")
    throughout = {f"m{number:02}" for number in start}
    ever = set(throughout)

    def write(page: int) -> None:
        for verb, number in pages[page - 1] if page <= len(pages) else []:
            name = f"m{number:02}"
            if verb == "create":
                http.post(path, json={"name": name})
                ever.add(name)
            elif verb == "patch":
                http.patch(f"{path}/{name}", json={"description": f"page {page}"})
            else:
                http.delete(f"{path}/{name}")
                throughout.discard(name)

    rows = walk(http, path, {"sort": sort, "page_size": size}, write)
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert throughout <= set(names_of(rows)) <= ever
    keys = [row[sort.removeprefix("-")] for row in rows]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    for row in walk(http, path, {"page_size": 1000}):
        http.delete(f"{path}/{row['name']}")


@pytest.mark.parametrize("sort", SORTS)
def test_writers_beside_the_walk(http: httpx.Client, server_url: str, workspace: str, sort: str) -> None:
    path = models(workspace)
    for number in range(120):
        made(http, path, name=f"stays-{number * 37 % 120:03}")
    ended = threading.Event()
    failures: list[str] = []

    def churn(writer: int) -> None:
        with httpx.Client(base_url=server_url, timeout=30) as client:
            for number in range(100_000):
                if ended.is_set():
                    return
                name = f"{'amsz'[number % 4]}-goes-{writer}-{number}"
                for answer in (
                    client.post(path, json={"name": name}),
                    client.patch(f"{path}/stays-{number % 120:03}", json={"description": name}),
                    client.patch(f"{path}/{name}", json={"description": name}),
                    client.delete(f"{path}/{name}"),
                ):
                    if not answer.is_success:
                        failures.append(f"{answer.status_code} {answer.text}")

    writers = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            rows = walk(http, path, {"sort": sort, "page_size": 7})
            ids = [row["id"] for row in rows]
            assert len(ids) == len(set(ids))
            stayed = [name for name in names_of(rows) if name.startswith("stays-")]
            assert sorted(stayed) == [f"stays-{number:03}" for number in range(120)]
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    assert failures == []


@pytest.mark.parametrize("sort", SORTS)
def test_a_walk_with_a_filter(http: httpx.Client, workspace: str, sort: str) -> None:
    for number in range(20):
        made(http, models(workspace), name=f"m{number}", description="odd" if number % 2 else "even")
    rows = walk(http, models(workspace), {"sort": sort, "page_size": 3, "filter[description]": "odd"})
    assert sorted(names_of(rows)) == sorted(f"m{number}" for number in range(20) if number % 2)


def test_a_walk_over_every_workspace_breaks_ties(http: httpx.Client, workspace: str) -> None:
    others = [f"{workspace}-{number}" for number in range(5)]
    for other in others:
        made(http, WORKSPACES, name=other)
        made(http, prompts(other), name="same")
    query: dict[str, str | int] = {"sort": "name", "page_size": 2, "filter[workspace][$in]": ",".join(others)}
    rows = walk(http, prompts("-"), query)
    assert sorted(row["workspace"] for row in rows) == others


def test_pages_by_number_hold_each_row_once_while_nothing_is_written(http: httpx.Client, workspace: str) -> None:
    for number in range(10):
        made(http, models(workspace), name=f"m{number}")
    seen: list[str] = []
    for page in range(1, 5):
        body = http.get(models(workspace), params={"page": page, "page_size": 3, "sort": "-updated_at"}).json()
        assert body["pagination"]["total_results"] == 10
        assert body["pagination"]["total_pages"] == 4
        assert body["pagination"]["next_cursor"] is None  # no walk along values that change
        seen += names_of(body["data"])
    assert sorted(seen) == [f"m{number}" for number in range(10)]


@pytest.fixture
def cursor(http: httpx.Client, workspace: str) -> str:
    """The cursor of the second page of the workspace's models by name."""
    for number in range(4):
        made(http, models(workspace), name=f"m{number}")
    answer = http.get(models(workspace), params={"page_size": 2, "sort": "name"})
    found: str = answer.json()["pagination"]["next_cursor"]
    assert names_of(http.get(models(workspace), params={"sort": "name", "cursor": found}).json()["data"]) == [
        "m2",
        "m3",
    ]
    return found


def _refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")
    assert answer.json()["parameter"] == "cursor"


def test_a_cursor_of_another_list(http: httpx.Client, workspace: str, cursor: str) -> None:
    for path, query in (
        (models("default"), {"sort": "name"}),
        (models("-"), {"sort": "name"}),
        (prompts(workspace), {"sort": "name"}),
        (WORKSPACES, {"sort": "name"}),
        (models(workspace), {"sort": "-name"}),
        (models(workspace), {}),
        (models(workspace), {"sort": "name", "filter[name]": "m1"}),
    ):
        _refused(http.get(path, params={**query, "cursor": cursor}))


def test_a_cursor_that_was_tampered_with(http: httpx.Client, workspace: str, cursor: str) -> None:
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    forged = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw))]
    forged += [raw[:-1], raw + b"]", b"[]", b"{}", b"null", b"5", b'["a",2,"b","c"]', b"[" * 1000, b"\xff", b"[1e999]"]
    texts = [base64.urlsafe_b64encode(one).decode().rstrip("=") for one in forged]
    for text in (*texts, "x", "%", "é", "a" * 2048, cursor[1:]):
        _refused(http.get(models(workspace), params={"sort": "name", "cursor": text}))
    long = http.get(models(workspace), params={"sort": "name", "cursor": "a" * 2049})
    assert faults(long) == [(("query", "cursor"), "string_too_long")]


def test_a_cursor_beside_what_it_does_not_go_with(http: httpx.Client, workspace: str, cursor: str) -> None:
    with_page = http.get(models(workspace), params={"sort": "name", "cursor": cursor, "page": 2})
    assert faults(with_page) == [(("query", "page"), "cursor_with_page")]
    for sort in ("updated_at", "-updated_at"):
        answer = http.get(models(workspace), params={"sort": sort, "cursor": cursor})
        assert faults(answer) == [(("query", "sort"), "cursor_sort")]
