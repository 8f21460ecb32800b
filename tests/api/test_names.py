"""Names, as the API takes them. The patterns themselves are held in tests/records/test_names.py."""

from urllib.parse import quote

import httpx
import pytest

from tests.api.paths import WORKSPACES, faults, made, models, projects, prompts

OPEN_GOOD = ["Llama-3", "x", "9b", "a--b", "a" * 64, "a" * 255, "-", "_", "...", "A.B_c-D", "con", "null"]
OPEN_BAD = ["", ".", "..", "a" * 256, "a b", "a\n", "\na", "é", "ﬁ", "a/b", "a@b", "a+b", "a%20b", "a\u200b", "٣"]
NARROW_GOOD = ["ab", "a1", "a" * 63, "a@b", "a.b+c_d", "a-b-c", "a."]
NARROW_BAD = [*sorted(set(OPEN_BAD) - {"a@b", "a+b"}), "a", "Ab", "1a", "a--b", "ab-", "a" * 64, "-ab", "ab\n", ".a"]


@pytest.mark.parametrize("name", OPEN_GOOD)
def test_open_names(http: httpx.Client, workspace: str, name: str) -> None:
    for path in (models(workspace), prompts(workspace)):
        made(http, path, name=name)
        assert http.get(f"{path}/{name}").json()["name"] == name
        assert http.delete(f"{path}/{name}").status_code == 204


@pytest.mark.parametrize("name", OPEN_BAD)
def test_names_that_models_and_prompts_cannot_have(http: httpx.Client, workspace: str, name: str) -> None:
    for path in (models(workspace), prompts(workspace)):
        assert faults(http.post(path, json={"name": name})) == [(("body", "name"), "name")]


@pytest.mark.parametrize("name", NARROW_GOOD)
def test_narrow_names(http: httpx.Client, workspace: str, name: str) -> None:
    made(http, projects(workspace), name=name)
    item = f"{projects(workspace)}/{quote(name)}"
    assert http.get(item).json()["name"] == name
    assert made(http, models(workspace), name="m", project=name)["project"] == name
    assert http.delete(item).status_code == 200


@pytest.mark.parametrize("name", NARROW_BAD)
def test_names_that_workspaces_and_projects_cannot_have(http: httpx.Client, workspace: str, name: str) -> None:
    for path in (WORKSPACES, projects(workspace)):
        assert faults(http.post(path, json={"name": name})) == [(("body", "name"), "name")]


@pytest.mark.parametrize("name", [None, 5, True, [], {}])
def test_a_name_is_text(http: httpx.Client, workspace: str, name: object) -> None:
    for path in (WORKSPACES, projects(workspace), models(workspace), prompts(workspace)):
        assert faults(http.post(path, json={"name": name})) == [(("body", "name"), "string_type")]
        assert faults(http.post(path, json={})) == [(("body", "name"), "missing")]
