"""What a crash between a change of files and the models leaves behind is made good at the next start."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from steelyard.actions.context import Caller, Context
from steelyard.actions.files.bytes import receive
from steelyard.actions.files.commits import change_files
from steelyard.actions.following import catch_up
from steelyard.actions.perform import perform
from steelyard.actions.records import get
from steelyard.actions.registry import VERBS
from steelyard.records.conditions import NONE
from steelyard.records.filesets import FileChange
from steelyard.records.models import MODEL
from tests.contexts import opened
from tests.filesets.checkpoints import llama

CALLER = Caller()


async def commit(context: Context, files: dict[str, bytes]) -> None:
    """A change of files after which the server dies: the models have not heard of it."""
    changes = []
    for path, content in files.items():

        async def pieces(content: bytes = content) -> AsyncIterator[bytes]:
            yield content

        blob = await receive(context, "default", pieces())
        changes.append(FileChange(path, blob.digest, blob.size))
    await perform(context, change_files(context, CALLER, "default", "weights", changes, NONE).write)


async def make(context: Context, kind: str, body: dict[str, Any]) -> None:
    await perform(context, VERBS[kind].create(context, CALLER, "default", body, NONE))


async def test_a_model_that_was_left_behind_catches_up_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as context:
        await make(context, "fileset", {"name": "weights"})
        await commit(context, llama(layers=2))
        await make(context, "model", {"name": "m", "fileset": "weights"})
        await commit(context, llama(layers=3))
        behind = (await get(context, MODEL, "default", "m"))[1]

        first, second = await catch_up(context, CALLER), await catch_up(context, CALLER)

        model = (await get(context, MODEL, "default", "m"))[1]
        assert behind["spec"]["num_layers"] == 2
        assert (first, second) == (1, 0)
        assert model["spec"]["num_layers"] == 3
