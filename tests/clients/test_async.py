"""The asynchronous SDK: the same surface, and many calls at the same moment."""

import asyncio

import pytest
from nemo_platform import (  # type: ignore[import-not-found,unused-ignore]
    AsyncNeMoPlatform,
    ConflictError,
    NotFoundError,
)


async def test_a_model_is_made_updated_listed_and_deleted(async_sdk: AsyncNeMoPlatform) -> None:
    created = await async_sdk.models.create(name="llama", backend_format="OPENAI_CHAT")
    updated = await async_sdk.models.update("llama", description="x", backend_format=None)

    assert (updated.id, updated.description, updated.backend_format) == (created.id, "x", None)
    assert await async_sdk.models.retrieve("llama") == updated
    await async_sdk.models.delete("llama")
    with pytest.raises(NotFoundError):
        await async_sdk.models.retrieve("llama")


async def test_a_walk_over_pages_finds_every_model_once(async_sdk: AsyncNeMoPlatform) -> None:
    names = [f"model-{number}" for number in range(5)]
    await asyncio.gather(*(async_sdk.models.create(name=name) for name in names))

    found = [model.name async for model in async_sdk.models.list(page_size=2, sort="name")]

    assert found == names


async def test_updates_of_different_fields_at_the_same_moment_all_succeed_and_all_stay(
    async_sdk: AsyncNeMoPlatform,
) -> None:
    await async_sdk.models.create(name="llama")
    changes = {
        "description": "x",
        "base_model": "other/base",
        "custom_fields": {"a": 1},
        "ownership": {"team": "t"},
        "model_providers": ["other/p"],
        "finetuning_type": "lora",
        "backend_format": "OPENAI_CHAT",
        "trust_remote_code": True,
    }

    client = async_sdk.with_options(max_retries=0)
    await asyncio.gather(*(client.models.update("llama", **{field: value}) for field, value in changes.items()))

    after = (await async_sdk.models.retrieve("llama")).to_dict()
    assert {field: after[field] for field in changes} == changes
    assert after["revision"] == 1 + len(changes)


async def test_of_many_who_create_the_same_name_one_succeeds_and_the_others_are_told(
    async_sdk: AsyncNeMoPlatform,
) -> None:
    answers = await asyncio.gather(*(async_sdk.models.create(name="llama") for _ in range(10)), return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(answer) for answer in refused] == [ConflictError] * 9


async def test_workspaces_and_projects_too(async_sdk: AsyncNeMoPlatform) -> None:
    name = f"{async_sdk.workspace}-b"
    await async_sdk.workspaces.create(name=name)
    await async_sdk.projects.create(name="tickets", workspace=name)

    assert [project.name async for project in async_sdk.projects.list(workspace=name)] == ["tickets"]
    assert (await async_sdk.workspaces.delete(name)).id == name
