"""The asynchronous SDK: files, adapters and secrets, and many uploads at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nemo_platform import (  # type: ignore[import-not-found,unused-ignore]
    AsyncNeMoPlatform,
    ConflictError,
    NotFoundError,
)
from nemo_platform_plugin.client.errors import (  # type: ignore[import-not-found,unused-ignore]
    NotFoundError as FileNotFound,
)

from tests.clients.checkpoints import llama, lora, read, written


async def test_a_folder_goes_up_and_comes_back_as_it_was(async_sdk: AsyncNeMoPlatform, tmp_path: Path) -> None:
    tree = {f"folder-{number % 7}/{number}.bin": bytes([number]) * number * 100 for number in range(60)}
    files = async_sdk.files

    await files.upload(
        local_path=written(tmp_path / "tree", tree), fileset="data", fileset_auto_create=True, max_workers=16
    )
    await files.download(fileset="data", local_path=str(tmp_path / "back"), max_workers=16)

    assert read(tmp_path / "back") == tree
    assert [file.path for file in (await files.list(remote_path="data#folder-3")).data] == sorted(
        path for path in tree if path.startswith("folder-3/")
    )


async def test_content_in_chunks_goes_up_and_is_deleted(async_sdk: AsyncNeMoPlatform) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b"in ", b"chunks"):
            yield part

    await async_sdk.files.upload_content(content=chunks(), remote_path="x", fileset="data", fileset_auto_create=True)

    assert await async_sdk.files.download_content(remote_path="data#x") == b"in chunks"
    await async_sdk.files.delete(remote_path="data#x")
    with pytest.raises(FileNotFound):
        await async_sdk.files.download_content(remote_path="data#x")


async def test_writers_of_one_path_at_the_same_moment_leave_one_content_whole(async_sdk: AsyncNeMoPlatform) -> None:
    await async_sdk.files.filesets.create(name="data")
    contents = [bytes([number]) * 50_000 for number in range(8)]

    await asyncio.gather(
        *(async_sdk.files.upload_content(content=content, remote_path="x", fileset="data") for content in contents)
    )

    assert await async_sdk.files.download_content(remote_path="data#x") in contents
    assert [file.size for file in (await async_sdk.files.list(fileset="data")).data] == [50_000]


async def test_of_many_who_create_the_same_fileset_one_succeeds(async_sdk: AsyncNeMoPlatform) -> None:
    answers = await asyncio.gather(
        *(async_sdk.files.filesets.create(name="data") for _ in range(8)), return_exceptions=True
    )

    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(answer) for answer in refused] == [ConflictError] * 7


async def test_filesets_are_walked(async_sdk: AsyncNeMoPlatform) -> None:
    names = ["a-1", "a-2", "a-3"]
    for name in names:
        await async_sdk.files.filesets.create(name=name)

    assert [one.name async for one in async_sdk.files.filesets.list(page_size=2, sort="name")] == names


async def test_of_many_who_create_the_same_adapter_one_succeeds(async_sdk: AsyncNeMoPlatform, tmp_path: Path) -> None:
    for name, files in {"weights": llama(), "lora": lora()}.items():
        local_path = written(tmp_path / name, files)
        await async_sdk.files.upload(local_path=local_path, fileset=name, fileset_auto_create=True)
    model = await async_sdk.models.create(name="llama", fileset="weights")
    assert model.spec.num_layers == 1
    new = {"name": "polite", "fileset": "lora", "finetuning_type": "lora"}

    answers = await asyncio.gather(
        *(async_sdk.adapters.create(model="llama", **new) for _ in range(4)),
        *(async_sdk.models.adapters.create("llama", **new) for _ in range(4)),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(answer) for answer in refused] == [ConflictError] * 7
    assert [one.name for one in (await async_sdk.models.retrieve("llama")).adapters] == ["polite"]
    assert (await async_sdk.adapters.patch("polite", enabled=False)).enabled is False
    await async_sdk.models.adapters.delete("polite", model_name="llama")
    assert [one async for one in async_sdk.adapters.list()] == []


async def test_secrets_too(async_sdk: AsyncNeMoPlatform) -> None:
    created = await async_sdk.secrets.create(name="hub", value="hf_5ecret")

    assert await async_sdk.secrets.retrieve("hub") == created
    assert [one.name async for one in async_sdk.secrets.list()] == ["hub"]
    await async_sdk.secrets.delete("hub")
    with pytest.raises(NotFoundError):
        await async_sdk.secrets.retrieve("hub")
