"""The SDK keeps filesets: what is said of a set of files, whatever the files are."""

import pytest
from nemo_platform import BadRequestError, NeMoPlatform, NotFoundError  # type: ignore[import-not-found,unused-ignore]


def test_a_fileset_with_only_a_name_has_the_defaults_of_the_platform(sdk: NeMoPlatform) -> None:
    fileset = sdk.files.filesets.create(name="weights")

    assert fileset.id.startswith("fileset-")
    assert (fileset.name, fileset.workspace, fileset.project) == ("weights", sdk.workspace, "")
    assert (fileset.description, fileset.purpose, fileset.custom_fields) == ("", "generic", {})
    assert (fileset.metadata.dataset, fileset.metadata.model) == (None, None)
    assert (fileset.storage.type, fileset.storage.path) == ("local", "")
    assert fileset.created_at == fileset.updated_at
    assert sdk.files.filesets.retrieve("weights") == fileset


def test_every_field_can_be_set_when_a_fileset_is_created(sdk: NeMoPlatform) -> None:
    sdk.projects.create(name="tickets")

    fileset = sdk.files.filesets.create(
        name="weights",
        description="Of the vendor",
        project="tickets",
        purpose="model",
        storage={"type": "local", "path": ""},
        metadata={"model": {"tool_calling": {"tool_call_parser": "hermes", "auto_tool_choice": True}}},
        custom_fields={"licence": "apache-2.0"},
    )

    tools = fileset.metadata.model.tool_calling
    assert (fileset.description, fileset.project, fileset.purpose) == ("Of the vendor", "tickets", "model")
    assert (tools.tool_call_parser, tools.auto_tool_choice) == ("hermes", True)
    assert fileset.custom_fields == {"licence": "apache-2.0"}


def test_an_update_answers_what_is_stored_now(sdk: NeMoPlatform) -> None:
    before = sdk.files.filesets.create(name="rows", description="As it was", custom_fields={"a": 1})

    after = sdk.files.filesets.update("rows", purpose="dataset", metadata={"dataset": {"schema": {"type": "object"}}})

    assert (after.purpose, after.metadata.dataset.schema_) == ("dataset", {"type": "object"})
    assert (after.description, after.custom_fields) == (before.description, before.custom_fields)
    assert after.updated_at > before.updated_at
    assert sdk.files.filesets.retrieve("rows") == after


@pytest.mark.parametrize("field", ["description", "purpose", "metadata", "custom_fields", "project"])
def test_an_explicit_none_keeps_a_field(sdk: NeMoPlatform, field: str) -> None:
    metadata = {"model": {"tool_calling": {"tool_call_parser": "hermes"}}}
    before = sdk.files.filesets.create(name="weights", description="x", purpose="model", metadata=metadata)

    assert sdk.files.filesets.update("weights", **{field: None}) == before


def test_lists_walk_all_pages_and_are_filtered_and_sorted(sdk: NeMoPlatform) -> None:
    for name, purpose in {"b-1": "model", "b-2": "dataset", "b-3": "model"}.items():
        sdk.files.filesets.create(name=name, purpose=purpose)
    filesets = sdk.files.filesets

    assert [one.name for one in filesets.list()] == ["b-3", "b-2", "b-1"]
    assert [one.name for one in filesets.list(sort="name", page_size=1)] == ["b-1", "b-2", "b-3"]
    assert [one.name for one in filesets.list(filter={"purpose": "model"}, sort="name")] == ["b-1", "b-3"]
    assert [one.name for one in filesets.list(filter={"name": {"$in": ["b-1", "b-2"]}}, sort="name")] == ["b-1", "b-2"]
    assert len(list(filesets.list(filter={"storage_type": "local"}))) == 3
    assert list(filesets.list(filter={"storage_type": "s3"})) == []


def test_exist_ok_answers_the_fileset_that_is_there(sdk: NeMoPlatform) -> None:
    first = sdk.files.filesets.create(name="weights", description="first")

    assert sdk.files.filesets.create(name="weights", description="second", exist_ok=True) == first


def test_a_delete_answers_what_was_there_and_takes_the_files_with_it(sdk: NeMoPlatform) -> None:
    sdk.files.upload_content(content=b"{}", remote_path="config.json", fileset="weights", fileset_auto_create=True)
    before = sdk.files.filesets.retrieve("weights")

    assert sdk.files.filesets.delete("weights").id == before.id

    with pytest.raises(NotFoundError):
        sdk.files.filesets.retrieve("weights")
    sdk.files.filesets.create(name="weights")
    assert sdk.files.list(fileset="weights").data == []


@pytest.mark.parametrize(
    "storage",
    [
        {"type": "huggingface", "repo_id": "a/b", "endpoint": "https://elsewhere.invalid"},
        {"type": "s3", "bucket": "abc", "endpoint_url": "https://elsewhere.invalid"},
        {"type": "local", "path": "/etc"},
    ],
    ids=lambda storage: storage["type"],
)
def test_files_are_taken_from_no_place_that_the_settings_do_not_allow(
    sdk: NeMoPlatform, storage: dict[str, str]
) -> None:
    with pytest.raises(BadRequestError, match=r"files\.(source_hosts|folders)"):
        sdk.files.filesets.create(name="weights", storage=storage)

    with pytest.raises(NotFoundError):
        sdk.files.filesets.retrieve("weights")
