"""Workspaces and projects: what they hold, and what becomes of it when they go."""

import httpx
import pytest

from tests.api.paths import LAYERS, SPEC, WORKSPACES, faults, made, models, projects, prompts


def test_a_workspace(http: httpx.Client, workspace: str) -> None:
    path = f"{WORKSPACES}/{workspace}"
    read = http.get(path).json()
    stamps = {"created_at", "created_by", "id", "name", "revision", "updated_at", "updated_by"}
    assert set(read) == stamps | {"description", "file_policy", "recording"}
    assert (read["name"], read["description"], read["created_by"], read["revision"]) == (workspace, None, None, 1)
    assert read["id"].startswith("workspace-")
    assert http.put(path, json={"description": "d"}).json()["description"] == "d"
    for body in ({}, {"description": None}, {"description": "d"}):  # absent and null keep
        answer = http.put(path, json=body)
        assert (answer.status_code, answer.json()["description"], answer.json()["revision"]) == (200, "d", 2)
    assert http.put(path, json={"description": ""}).json()["description"] == ""


def test_waiting_for_roles_is_accepted(http: httpx.Client, workspace: str) -> None:
    path = f"{WORKSPACES}?wait_role_propagation="
    assert http.post(f"{path}false", json={"name": f"{workspace}-a"}).status_code == 201
    assert faults(http.post(f"{path}maybe", json={"name": f"{workspace}-b"}))[0][0] == (
        "query",
        "wait_role_propagation",
    )


@pytest.mark.parametrize("name", ["default", "system"])
def test_the_built_in_workspaces_stay(http: httpx.Client, name: str) -> None:
    answer = http.delete(f"{WORKSPACES}/{name}")
    assert (answer.status_code, answer.json()["code"]) == (409, "protected")
    assert answer.headers["x-should-retry"] == "false"
    assert http.get(f"{WORKSPACES}/{name}").status_code == 200
    assert http.post(WORKSPACES, json={"name": name}).status_code == 409


def test_a_workspace_goes_with_all_that_is_in_it_at_once(http: httpx.Client, workspace: str) -> None:
    made(http, projects(workspace), name="pr")
    for number in range(30):
        made(http, models(workspace), name=f"m{number}", project="pr", spec={**SPEC, "linear_layers": LAYERS})
    made(http, prompts(workspace), name="p", project="pr")
    answer = http.delete(f"{WORKSPACES}/{workspace}")
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.headers["x-steelyard-dangling"]) == (workspace, "0")
    assert http.get(f"{WORKSPACES}/{workspace}").status_code == 404
    assert http.delete(f"{WORKSPACES}/{workspace}").status_code == 404
    for path, item in ((models(workspace), "m0"), (prompts(workspace), "p"), (projects(workspace), "pr")):
        body = http.get(path).json()
        assert (body["data"], body["pagination"]["total_results"]) == ([], 0)
        assert http.get(f"{path}/{item}").status_code == 404
    assert http.get(WORKSPACES, params={"filter[name]": workspace}).json()["data"] == []
    everywhere = http.get(models("-"), params={"filter[workspace]": workspace}).json()
    assert everywhere["data"] == []
    assert http.patch(f"{models(workspace)}/m0", json={}).status_code == 404
    assert faults(http.post(models(workspace), json={"name": "m0"})) == [(("path", "workspace"), "workspace_missing")]
    made(http, WORKSPACES, name=workspace)  # the name is free, and the new one is empty
    assert http.get(models(workspace)).json()["pagination"]["total_results"] == 0
    made(http, models(workspace), name="m0")


def test_deleting_a_workspace_counts_who_names_its_records(http: httpx.Client, workspace: str) -> None:
    other = f"{workspace}-user"
    made(http, WORKSPACES, name=other)
    made(http, models(workspace), name="base")
    for name in ("one", "two"):
        made(http, models(other), name=name, base_model=f"{workspace}/base")
    assert http.delete(f"{WORKSPACES}/{workspace}").headers["x-steelyard-dangling"] == "2"
    assert http.get(f"{models(other)}/one").json()["base_model"] == f"{workspace}/base"


def test_a_project(http: httpx.Client, workspace: str) -> None:
    created = made(http, projects(workspace), name="pr", description="d")
    path = f"{projects(workspace)}/pr"
    assert " ".join(sorted(created)) == "created_at description id name revision updated_at workspace"
    assert http.get(path).json() == created
    assert http.put(path, json={}).json()["description"] is None  # unlike in a workspace, absent clears
    assert http.put(path, json={"description": "e"}).json()["revision"] == 3
    assert http.post(projects(workspace), json={"name": "pr"}).status_code == 409
    assert faults(http.post(projects("no-such"), json={"name": "pr"})) == [(("path", "workspace"), "workspace_missing")]


def test_a_project_goes_and_what_was_in_it_stays(http: httpx.Client, workspace: str) -> None:
    for name in ("pr", "other"):
        made(http, projects(workspace), name=name)
    before = made(http, models(workspace), name="m", project="pr", description="d")
    made(http, prompts(workspace), name="p", project="pr")
    untouched = made(http, models(workspace), name="elsewhere", project="other")
    answer = http.delete(f"{projects(workspace)}/pr")
    assert (answer.status_code, answer.json()["id"]) == (200, f"{workspace}/pr")
    assert answer.headers["x-steelyard-dangling"] == "0"
    after = http.get(f"{models(workspace)}/m").json()
    assert (after["project"], after["revision"], after["description"]) == (None, 2, "d")
    assert after["updated_at"] > before["updated_at"]
    assert http.get(f"{prompts(workspace)}/p").json()["project"] is None
    assert http.get(f"{models(workspace)}/elsewhere").json() == untouched
    assert http.patch(f"{models(workspace)}/m", json={"description": "still writable"}).status_code == 200


def test_a_model_moves_between_projects(http: httpx.Client, workspace: str) -> None:
    for name in ("one", "two"):
        made(http, projects(workspace), name=name)
    made(http, models(workspace), name="m", project="one")
    path = f"{models(workspace)}/m"
    assert http.patch(path, json={"project": "two"}).json()["project"] == "two"
    assert http.patch(path, json={"project": f"{workspace}/one"}).json()["project"] == "one"
    assert http.patch(path, json={"project": None}).json()["project"] == "one"
    assert faults(http.patch(path, json={"project": "none"})) == [(("body", "project"), "project_missing")]
    assert faults(http.patch(path, json={"project": "default/one"})) == [(("body", "project"), "reference")]
    assert http.patch(path, json={"project": ""}).json()["project"] is None
    assert faults(http.post(models(workspace), json={"name": "n", "project": "none"})) == [
        (("body", "project"), "project_missing")
    ]


def test_a_project_is_that_of_the_same_workspace(http: httpx.Client, workspace: str) -> None:
    made(http, projects("default"), name=f"pr-{workspace}")
    answer = http.post(models(workspace), json={"name": "m", "project": f"pr-{workspace}"})
    assert faults(answer) == [(("body", "project"), "project_missing")]


def test_what_is_recorded_is_said_by_the_workspace(http: httpx.Client, workspace: str) -> None:
    item = f"{WORKSPACES}/{workspace}"
    said = http.put(item, json={"recording": {"enabled": True}}).json()["recording"]
    assert said == {"enabled": True, "redact": ["email", "phone", "card", "key", "ip"], "max_bytes": 65536}
    assert http.put(item, json={"description": "d"}).json()["recording"] == said
    for wrong, place in (
        ({"redact": ["name"]}, ("redact", 0)),
        ({"redact": ["ip", "ip"]}, ("redact",)),
        ({"max_bytes": 0}, ("max_bytes",)),
        ({"enabled": None}, ("enabled",)),
        ({"enable": True}, ("enable",)),
    ):
        refused = http.put(item, json={"recording": wrong})
        assert [fault for fault, _ in faults(refused)] == [("body", "recording", *place)]
    assert http.put(item, json={"recording": None}).json()["recording"] is None
