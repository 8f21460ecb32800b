"""What is written of a model is in force for the request that follows the answer: each time, however busy it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import uvloop

from tests.gateway.echo import Asked, Line, echo, line
from tests.servers import Server, running

TIMES = 10_000
WRITERS = 4
CLIENTS = 8
PAUSE = 0.003
"""Between the requests of one of the clients, in seconds: what is tested needs the processors too."""
PATHS = {"OPENAI_CHAT": "/v1/chat/completions", "ANTHROPIC_MESSAGES": "/v1/messages"}
CHAT = PATHS["OPENAI_CHAT"]
_workspaces = count(1)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may ask engines of this machine."""
    folder = tmp_path_factory.mktemp("in-force") / "data"
    with running(folder, "--set", "outbound.allow_private=true", "--set", "log.access=false") as server:
        yield server


@dataclass
class World:
    """A workspace with two providers, `a` and `b`, behind which are engines of these names; and a third engine `c`."""

    server: Server
    client: Line
    engines: dict[str, str]
    name: str = field(default_factory=lambda: f"busy-{next(_workspaces)}")

    @property
    def records(self) -> str:
        """Where models and providers are."""
        return f"/apis/models/v2/workspaces/{self.name}"

    @property
    def virtuals(self) -> str:
        return f"/apis/inference-gateway/v2/workspaces/{self.name}/virtual-models"

    @property
    def secrets(self) -> str:
        return f"/apis/secrets/v2/workspaces/{self.name}/secrets"

    def provider(self, name: str) -> dict[str, Any]:
        """A provider as it is made; it is never asked by itself."""
        secret = f"key-{name}"
        return {"name": name, "host_url": self.engines[name], "api_key_secret_name": secret, "discover": False}

    def endpoint(self, key: str = "key-c", served_name: str = "m") -> dict[str, Any]:
        """The engine `c`, as a model's own endpoint."""
        return {"url": self.engines["c"], "model_id": served_name, "api_key": key}

    async def make(self) -> None:
        """Writes the records."""
        await self.client.make("/apis/entities/v2/workspaces", {"name": self.name})
        for name in "ab":
            await self.client.make(self.secrets, {"name": f"key-{name}", "value": f"key-{name}"})
            await self.client.make(f"{self.records}/providers", self.provider(name))

    @asynccontextmanager
    async def crowd(self, *models: str) -> AsyncIterator[list[int]]:
        """Clients that ask for the models all the time; the number of their requests is in the list."""
        asked = [0]

        async def one(number: int) -> None:
            async with line(self.server.url) as client:
                for turn in count(number):
                    await client.ask(f"{self.name}/{models[turn % len(models)]}")
                    asked[0] += 1
                    await asyncio.sleep(PAUSE)

        tasks = [asyncio.create_task(one(number)) for number in range(CLIENTS)]
        try:
            yield asked
            failed = [task.exception() for task in tasks if task.done()]
            assert failed == []
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def world(server: Server) -> AsyncIterator[World]:
    """A new workspace, its engines, and a client."""
    async with AsyncExitStack() as stack:
        engines = {name: await stack.enter_async_context(echo(name)) for name in "abc"}
        made = World(server, await stack.enter_async_context(line(server.url)), engines)
        await made.make()
        yield made


@dataclass
class Model:
    """A model as its record was written last, and so how the next request for it must be passed on."""

    world: World
    name: str
    served_by: str = "c"
    key: str = "key-c"
    served_name: str = "m"
    format: str = "OPENAI_CHAT"
    prompt: str = ""

    @property
    def path(self) -> str:
        return f"{self.world.records}/models/{self.name}"

    @property
    def expected(self) -> Asked:
        """How the engine is to be asked."""
        key = self.key if self.served_by == "c" else f"key-{self.served_by}"
        return Asked(self.served_by, PATHS[self.format], key, self.served_name, self.prompt)

    def change(self, number: int) -> dict[str, Any]:
        """Changes one thing after the other; the body of the Update Model that does so."""
        match number % 4:
            case 0:
                self.prompt = f"prompt {number}"
                return {"prompt": {"system_prompt": self.prompt}}
            case 1:
                self.served_by = "b" if self.served_by == "a" else "a"
                return {"model_providers": [f"{self.world.name}/{self.served_by}"]}
            case 2:
                self.format = "OPENAI_CHAT" if self.format == "ANTHROPIC_MESSAGES" else "ANTHROPIC_MESSAGES"
                return {"backend_format": self.format}
        # By turns the endpoint answers, and the provider with the endpoint's name of the model.
        self.key, self.served_name = f"key {number}", f"model-{number}"
        changed: dict[str, Any] = {"api_endpoint": self.world.endpoint(self.key, self.served_name)}
        if number % 8 == 3:
            self.served_by = "c"
            changed["model_providers"] = []
        return changed


def test_patch_then_call(busy: Server) -> None:
    """10,000 times out of 10,000."""

    async def change(model: Model, times: int) -> list[tuple[int, Asked, Asked]]:
        wrong = []
        async with line(busy.url) as writer, line(busy.url) as caller:
            for number in range(times):
                await writer.write("PATCH", model.path, model.change(number))
                found = await caller.ask(f"{model.world.name}/{model.name}")
                if found != model.expected:
                    wrong.append((number, found, model.expected))
        return wrong

    async def run() -> None:
        async with world(busy) as place:
            models = [Model(place, f"model-{number}") for number in range(WRITERS)]
            for model in models:
                await place.client.make(
                    f"{place.records}/models", {"name": model.name, "api_endpoint": place.endpoint()}
                )
            async with place.crowd(*(model.name for model in models)) as asked:
                wrong = await asyncio.gather(*(change(model, TIMES // WRITERS) for model in models))
            assert [found for one in wrong for found in one] == []
            assert asked[0] > TIMES / 10

    uvloop.run(run())


Change = Callable[[World, int], Awaitable[tuple[str, Asked]]]
X, Y = Asked("a", CHAT, "key-a", "m", ""), Asked("b", CHAT, "key-b", "m", "")
"""How the engines are asked for the models `x` and `y`, which `a` and `b` serve, as their records are made."""


async def _secret(place: World, number: int) -> tuple[str, Asked]:
    """The key of the provider."""
    await place.client.write("PATCH", f"{place.secrets}/key-a", {"value": f"key {number}"})
    return "x", X._replace(key=f"key {number}")


async def _provider(place: World, number: int) -> tuple[str, Asked]:
    """Where the provider is, and whose key it takes."""
    engine, secret = "abc"[number % 3], "ab"[number % 2]
    changed = {"host_url": place.engines[engine], "api_key_secret_name": f"key-{secret}"}
    await place.client.write("PUT", f"{place.records}/providers/a", place.provider("a") | changed)
    return "x", X._replace(engine=engine, key=f"key-{secret}")


async def _served_name(place: World, number: int) -> tuple[str, Asked]:
    """The name by which the provider knows the model."""
    served = [{"model_entity_id": f"{place.name}/x", "served_model_name": f"name {number}"}]
    said = {"served_models": served, "status": "READY"}
    await place.client.write("PUT", f"{place.records}/providers/a/status", said)
    return "x", X._replace(model=f"name {number}")


async def _provider_deleted(place: World, number: int) -> tuple[str, Asked]:
    """The provider goes, and the model's own endpoint answers; it comes back, and does so again."""
    if number % 2 == 0:
        await place.client.write("DELETE", f"{place.records}/providers/a")
        return "x", Asked("c", CHAT, "key-c", "m", "")
    await place.client.make(f"{place.records}/providers", place.provider("a"))
    await place.client.write("PATCH", f"{place.records}/models/x", {"model_providers": [f"{place.name}/a"]})
    return "x", X


async def _alias(place: World, number: int) -> tuple[str, Asked]:
    """What an alias stands for."""
    model = "yx"[number % 2]
    if number == 0:
        await place.client.make(f"{place.records}/aliases", {"name": "x@live", "model": model})
    else:
        await place.client.write("PATCH", f"{place.records}/aliases/x@live", {"model": model})
    return "x@live", X if model == "x" else Y


async def _virtual_model(place: World, number: int) -> tuple[str, Asked]:
    """The model to which a virtual model goes, and the dialect."""
    model, format = "yx"[number % 2], "OPENAI_CHAT" if number % 4 < 2 else "ANTHROPIC_MESSAGES"
    reference = f"{place.name}/{model}"
    body = {"default_model_entity": reference, "models": [{"model": reference, "backend_format": format}]}
    if number == 0:
        await place.client.make(place.virtuals, {"name": "best", **body})
    else:
        await place.client.write("PATCH", f"{place.virtuals}/best", body)
    return "best", (X if model == "x" else Y)._replace(path=PATHS[format])


async def _base(place: World, number: int) -> tuple[str, Asked]:
    """The provider of the base by which a model is served."""
    if number == 0:
        tuned = {"name": "tuned", "base_model": f"{place.name}/x", "prompt": {"system_prompt": "Hm."}}
        await place.client.make(f"{place.records}/models", tuned)
    by = f"{place.name}/{'ab'[number % 2]}"
    await place.client.write("PATCH", f"{place.records}/models/x", {"model_providers": [by]})
    return "tuned", (Y if number % 2 else X)._replace(system="Hm.")


@pytest.mark.parametrize("change", [_secret, _provider, _served_name, _provider_deleted, _alias, _virtual_model, _base])
def test_write_then_call(busy: Server, change: Change) -> None:
    """The same for all else that decides where a request goes."""

    async def run() -> None:
        async with world(busy) as place, line(busy.url) as caller:
            for name, by in (("x", "a"), ("y", "b")):
                body = {"name": name, "api_endpoint": place.endpoint(), "model_providers": [f"{place.name}/{by}"]}
                await place.client.make(f"{place.records}/models", body)
            wrong = []
            async with place.crowd("x", "y"):
                for number in range(100):
                    name, expected = await change(place, number)
                    found = await caller.ask(f"{place.name}/{name}")
                    if found != expected:
                        wrong.append((number, found, expected))
            assert wrong == []

    uvloop.run(run())


def test_a_model_that_is_deleted_is_gone_at_once(busy: Server) -> None:
    async def run() -> None:
        async with world(busy) as place, line(busy.url) as caller:
            path = f"{place.records}/models"
            record = {"name": "x", "model_providers": [f"{place.name}/a"]}
            await place.client.make(path, {**record, "name": "y"})
            async with place.crowd("y"):
                for _ in range(50):
                    await place.client.make(path, record)
                    assert (await caller.ask(f"{place.name}/x")).engine == "a"
                    await place.client.write("DELETE", f"{path}/x")
                    status, _said = await caller.send("POST", CHAT, {"model": f"{place.name}/x", "messages": []})
                    assert status == 404

    uvloop.run(run())
