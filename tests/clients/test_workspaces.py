"""The SDK keeps workspaces and projects; prompts, which it has no resource for, by its generic verbs."""

import pytest
from nemo_platform import NeMoPlatform, NotFoundError  # type: ignore[import-not-found,unused-ignore]


def test_a_workspace_is_made_read_changed_and_deleted(sdk: NeMoPlatform) -> None:
    name = f"{sdk.workspace}-b"

    created = sdk.workspaces.create(name=name, description="Models of the team", wait_role_propagation=False)
    assert created.id.startswith("workspace-")
    assert sdk.workspaces.retrieve(name) == created
    assert sdk.workspaces.update(name, description="Ours").description == "Ours"
    assert sdk.workspaces.update(name).description == "Ours"

    deleted = sdk.workspaces.delete(name)

    assert (deleted.id, bool(deleted.message)) == (name, True)
    with pytest.raises(NotFoundError):
        sdk.workspaces.retrieve(name)


def test_a_deleted_workspace_takes_its_models_along_and_frees_its_name(sdk: NeMoPlatform) -> None:
    name = f"{sdk.workspace}-b"
    sdk.workspaces.create(name=name)
    sdk.models.create(name="llama", workspace=name)

    sdk.workspaces.delete(name)

    assert name not in [workspace.name for workspace in sdk.workspaces.list()]
    assert list(sdk.models.list(workspace=name)) == []
    sdk.workspaces.create(name=name)
    with pytest.raises(NotFoundError):
        sdk.models.retrieve("llama", workspace=name)


def test_exist_ok_answers_what_is_there(sdk: NeMoPlatform) -> None:
    project = sdk.projects.create(name="tickets", description="first")

    assert sdk.projects.create(name="tickets", exist_ok=True) == project
    assert sdk.workspaces.create(name=sdk.workspace, exist_ok=True).name == sdk.workspace


def test_a_project_is_made_read_changed_and_deleted(sdk: NeMoPlatform) -> None:
    created = sdk.projects.create(name="tickets", description="All tickets")
    assert (created.id[:8], created.workspace) == ("project-", sdk.workspace)
    assert sdk.projects.retrieve("tickets") == created
    assert sdk.projects.update("tickets", description="Some").description == "Some"
    assert sdk.projects.update("tickets").description is None

    deleted = sdk.projects.delete("tickets")

    assert deleted.id == f"{sdk.workspace}/tickets"
    with pytest.raises(NotFoundError):
        sdk.projects.retrieve("tickets")


def test_a_model_outlives_its_project_and_can_be_updated_then(sdk: NeMoPlatform) -> None:
    sdk.projects.create(name="tickets")
    sdk.models.create(name="llama", project="tickets")

    sdk.projects.delete("tickets")

    assert sdk.models.update("llama", description="x").project is None


def test_prompts_are_kept_by_the_generic_verbs(sdk: NeMoPlatform) -> None:
    prompts = f"/apis/models/v2/workspaces/{sdk.workspace}/prompts"
    body = {
        "messages": [{"role": "system", "content": "Be kind, {{ name }}."}],
        "input_variables": ["name"],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "tool_choice": "auto",
        "inference_params": {"temperature": 0.2, "top_k": 5},
        "tags": ["kind"],
    }

    created = sdk.post(prompts, cast_to=object, body={"name": "kind", **body})

    assert created["messages"] == body["messages"]
    assert sdk.get(f"{prompts}/kind", cast_to=object) == created
    assert [prompt["name"] for prompt in sdk.get(prompts, cast_to=object)["data"]] == ["kind"]
    replaced = sdk.put(f"{prompts}/kind", cast_to=object, body={"description": "new"})
    assert (replaced["description"], replaced["messages"], replaced["tags"]) == ("new", [], [])
    sdk.delete(f"{prompts}/kind", cast_to=type(None))
    with pytest.raises(NotFoundError):
        sdk.get(f"{prompts}/kind", cast_to=object)
