"""Prompts: a PUT replaces all but the name and the project."""

from typing import Any

import httpx
import pytest

from tests.api.paths import faults, made, projects, prompts

FULL: dict[str, Any] = {
    "description": "d",
    "messages": [{"role": "system", "content": "{{ not evaluated }}"}],
    "input_variables": ["x"],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_object"},
    "inference_params": {"temperature": 0.1, "min_p": 0.2},
    "tags": ["a"],
}


def test_a_prompt_with_only_a_name(http: httpx.Client, workspace: str) -> None:
    prompt = made(http, prompts(workspace), name="p")
    assert prompt["id"].startswith("prompt-")
    assert (prompt["messages"], prompt["input_variables"], prompt["tags"]) == ([], [], [])
    nulls = {key for key, value in prompt.items() if value is None}
    assert nulls == {"project", "description", "tools", "tool_choice", "response_format", "inference_params"}
    assert http.get(f"{prompts(workspace)}/p").json() == prompt


def test_a_put_replaces_all_but_the_project(http: httpx.Client, workspace: str) -> None:
    made(http, projects(workspace), name="pr")
    path = f"{prompts(workspace)}/p"
    made(http, prompts(workspace), name="p", project="pr", **FULL)
    kept = http.put(path, json=FULL).json()
    assert (kept["revision"], kept["project"], kept["messages"]) == (1, "pr", FULL["messages"])
    bare = http.put(path, json={"description": None}).json()
    assert (bare["revision"], bare["project"]) == (2, "pr")
    assert (bare["messages"], bare["tags"], bare["tools"], bare["description"]) == ([], [], None, None)
    assert http.put(path, json={"project": ""}).json()["project"] is None


def test_what_was_read_can_be_put_back(http: httpx.Client, workspace: str) -> None:
    path = f"{prompts(workspace)}/p"
    made(http, prompts(workspace), name="p", **FULL)
    answer = http.put(path, json=http.get(path).json())
    assert (answer.status_code, answer.json()["revision"]) == (200, 1)
    assert faults(http.put(path, json={"name": "q"})) == [(("body", "name"), "read_only")]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"messages": [{"role": "robot", "content": ""}]}, ("body", "messages", 0, "role")),
        ({"messages": [{"role": "user"}]}, ("body", "messages", 0, "content")),
        ({"tools": [{"type": "function", "function": {"name": "f" * 256}}]}, ("body", "tools", 0, "function", "name")),
        ({"tool_choice": 5}, ("body", "tool_choice")),
        ({"inference_params": {"temperature": 2.5}}, ("body", "inference_params", "temperature")),
        ({"tags": "a"}, ("body", "tags")),
    ],
)
def test_wrong_prompts(http: httpx.Client, workspace: str, body: dict[str, Any], place: tuple[Any, ...]) -> None:
    assert faults(http.post(prompts(workspace), json={"name": "p", **body}))[0][0] == place
    made(http, prompts(workspace), name="p")
    assert faults(http.put(f"{prompts(workspace)}/p", json=body))[0][0] == place
    assert http.get(f"{prompts(workspace)}/p").json()["revision"] == 1


def test_delete(http: httpx.Client, workspace: str) -> None:
    made(http, prompts(workspace), name="p")
    answer = http.delete(f"{prompts(workspace)}/p")
    assert (answer.status_code, answer.headers["x-steelyard-dangling"]) == (204, "0")
    assert http.get(f"{prompts(workspace)}/p").status_code == 404
    assert http.delete(f"{prompts(workspace)}/p").status_code == 404
    assert http.put(f"{prompts(workspace)}/p", json={}).status_code == 404
