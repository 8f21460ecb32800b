"""Lists: envelope, pages, sorts, what is echoed and what is left out. Walks by cursor are in tests/laws."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.paths import SPEC, WORKSPACES, made, models, projects, prompts

KINDS = pytest.mark.parametrize("path", [models, prompts, projects])


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["data"]]


@pytest.fixture
def five(http: httpx.Client, workspace: str) -> Iterator[str]:
    """A workspace with five models, made in the order c a e b d."""
    for name in "caebd":
        made(http, models(workspace), name=f"m-{name}")
    yield workspace


@KINDS
def test_an_empty_list(http: httpx.Client, workspace: str, path: Any) -> None:
    body = http.get(path(workspace)).json()
    pagination = {"page": 1, "page_size": 100, "current_page_size": 0, "total_pages": 0, "total_results": 0}
    assert body["data"] == []
    assert body["pagination"] == {**pagination, "next_cursor": None}


@KINDS
def test_a_list_of_a_workspace_that_is_not_there_is_empty(http: httpx.Client, path: Any) -> None:
    answer = http.get(path("no-such-workspace"))
    assert (answer.status_code, answer.json()["data"]) == (200, [])


def test_the_default_sort_is_that_of_the_platform(http: httpx.Client, workspace: str) -> None:
    for path, sort in ((models, "created_at"), (prompts, "created_at"), (projects, "-created_at")):
        for name in ("bb", "aa"):
            made(http, path(workspace), name=name)
        answer = http.get(path(workspace))
        assert answer.json()["sort"] == sort
        assert names(answer) == (["bb", "aa"] if sort == "created_at" else ["aa", "bb"])
    assert http.get(WORKSPACES).json()["sort"] == "-created_at"


def test_sorts(http: httpx.Client, five: str) -> None:
    http.patch(f"{models(five)}/m-a", json={"description": "moved"})
    expected = {"name": "abcde", "created_at": "caebd", "updated_at": "cebda"}
    for sort, order in expected.items():
        assert names(http.get(models(five), params={"sort": sort})) == [f"m-{name}" for name in order]
        down = http.get(models(five), params={"sort": f"-{sort}"})
        assert names(down) == [f"m-{name}" for name in reversed(order)]
        assert down.json()["sort"] == f"-{sort}"


def test_pages(http: httpx.Client, five: str) -> None:
    seen: list[str] = []
    for page, size in ((1, 2), (2, 2), (3, 1), (4, 0), (1000, 0)):
        answer = http.get(models(five), params={"page": page, "page_size": 2})
        pagination = answer.json()["pagination"]
        del pagination["next_cursor"]
        assert pagination == {
            "page": page,
            "page_size": 2,
            "current_page_size": size,
            "total_pages": 3,
            "total_results": 5,
        }
        seen += names(answer)
    assert seen == [f"m-{name}" for name in "caebd"]


def test_totals_are_those_of_the_filter(http: httpx.Client, five: str) -> None:
    made(http, projects(five), name="not-a-model")
    answer = http.get(models(five), params={"filter[name][$in]": "m-a,m-b,m-x", "page_size": 1})
    pagination = answer.json()["pagination"]
    assert (pagination["total_results"], pagination["total_pages"]) == (2, 2)
    http.delete(f"{models(five)}/m-a")
    assert http.get(models(five)).json()["pagination"]["total_results"] == 4


@pytest.mark.parametrize("size", [1, 1000])
def test_page_sizes_at_their_limits(http: httpx.Client, five: str, size: int) -> None:
    answer = http.get(models(five), params={"page_size": size})
    assert len(names(answer)) == min(size, 5)


def test_lists_of_models_and_prompts_leave_nulls_out(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m", spec=SPEC, custom_fields={"kept": None}, api_endpoint={})
    made(http, prompts(workspace), name="p")
    [model] = http.get(models(workspace)).json()["data"]
    assert None not in model.values()
    assert None not in model["spec"].values()
    assert model["api_endpoint"] == {"api_key_set": False}
    assert model["custom_fields"] == {"kept": None}  # a caller's own object is left as it is
    assert http.get(f"{models(workspace)}/m").json()["description"] is None
    [prompt] = http.get(prompts(workspace)).json()["data"]
    assert None not in prompt.values()


def test_lists_of_workspaces_and_projects_show_nulls(http: httpx.Client, workspace: str) -> None:
    made(http, projects(workspace), name="pr")
    [project] = http.get(projects(workspace)).json()["data"]
    assert project["description"] is None
    [found] = http.get(WORKSPACES, params={"filter[name]": workspace}).json()["data"]
    assert found == http.get(f"{WORKSPACES}/{workspace}").json()


def test_the_filter_is_echoed_by_workspaces_and_projects_only(http: httpx.Client, workspace: str) -> None:
    for path in (WORKSPACES, projects(workspace)):
        assert http.get(path).json()["filter"] is None
        body = http.get(path, params={"filter[name][$like]": "x"}).json()
        assert body["filter"] == {"name": {"$like": "x"}}
    for path in (models(workspace), prompts(workspace)):
        assert "filter" not in http.get(path, params={"filter[name]": "x"}).json()


@pytest.mark.parametrize(
    "query",
    [
        {"filter": '{"name":{"$like":"M-A"}}'},
        {"filter[name][like]": "m-a"},
        {"filter[name]": "m-a"},
        {"filter": 'name:"m-a"'},
        {"filter": '{"$or":[{"name":"m-a"},{"name":"nope"}]}'},
        {"filter[name][$in]": "m-a,nope"},
    ],
)
def test_three_syntaxes_of_one_filter(http: httpx.Client, five: str, query: dict[str, str]) -> None:
    assert names(http.get(models(five), params=query)) == ["m-a"]


def test_wildcards_are_literal(http: httpx.Client, five: str) -> None:
    for text in ("%", "_", "m%a"):
        assert names(http.get(models(five), params={"filter[name][$like]": text})) == []


@KINDS
def test_a_dash_is_every_workspace(http: httpx.Client, workspace: str, path: Any) -> None:
    other = f"{workspace}-other"
    made(http, WORKSPACES, name=other)
    for place in (workspace, other):
        made(http, path(place), name="everywhere")
    only = {"filter[workspace][$in]": f"{workspace},{other}"}
    found = http.get(path("-"), params=only).json()
    assert {row["workspace"] for row in found["data"]} == {workspace, other}
    assert http.get(path("-")).json()["pagination"]["total_results"] >= 2
    assert http.get(f"{path('-')}/everywhere").status_code == 404


@KINDS
def test_a_filter_never_leaves_its_workspace(http: httpx.Client, workspace: str, path: Any) -> None:
    made(http, path("default"), name=f"in-default-{workspace}")
    made(http, path(workspace), name="here")
    assert names(http.get(path(workspace), params={"filter[workspace]": "default"})) == []
    assert names(http.get(path(workspace), params={"filter[workspace]": workspace})) == ["here"]


def test_workspaces_can_be_listed_and_filtered(http: httpx.Client, workspace: str) -> None:
    assert {"default", "system"} <= set(names(http.get(WORKSPACES, params={"page_size": 1000})))
    assert names(http.get(WORKSPACES, params={"filter[name]": workspace})) == [workspace]
