"""Many clients at once: no change is lost, no race is a 5xx, and of those who ask for one state exactly one wins."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import chain
from typing import Any

import httpx
import pytest

from tests.api.paths import SPEC, WORKSPACES, models, projects

FIELDS: dict[str, Any] = {
    "description": "d",
    "spec": {**SPEC, "num_layers": 3},
    "finetuning_type": "lora",
    "trust_remote_code": True,
    "base_model": "other/base",
    "api_endpoint": {"url": "https://host", "api_key": "k"},
    "backend_format": "ANTHROPIC_MESSAGES",
    "prompt": {"system_prompt": "s"},
    "custom_fields": {"a": 1},
    "ownership": {"team": "t"},
    "model_providers": ["other/p"],
    "project": "pr",
}


@pytest.fixture
async def crowd(server_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with room for 64 connections."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=server_url, timeout=60, limits=limits) as client:
        yield client


async def made(crowd: httpx.AsyncClient, path: str, **body: Any) -> None:
    """Makes a record that others then fight for."""
    assert (await crowd.post(path, json=body)).status_code == 201


async def read(crowd: httpx.AsyncClient, path: str, **query: str) -> Any:
    """The record or the list at `path`."""
    return (await crowd.get(path, params=query)).json()


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_different_fields_at_once_are_all_kept(crowd: httpx.AsyncClient, workspace: str) -> None:
    await made(crowd, projects(workspace), name="pr")
    for round_ in range(5):
        item = f"{models(workspace)}/m{round_}"
        await made(crowd, models(workspace), name=f"m{round_}")
        patches = [crowd.patch(item, json={field: value}) for field, value in FIELDS.items()]
        answers = await asyncio.gather(*patches)
        assert statuses(answers) == {200: len(FIELDS)}
        model = await read(crowd, item)
        assert model["revision"] == 1 + len(FIELDS)
        for field, value in FIELDS.items():
            shown = {key: model[field][key] for key in value if key != "api_key"} if isinstance(value, dict) else None
            if shown is None:
                assert model[field] == value
            else:
                assert shown == {key: value[key] for key in shown}
        assert model["api_endpoint"]["api_key_set"] is True


async def test_twenty_clients_add_twenty_keys(crowd: httpx.AsyncClient, workspace: str) -> None:
    """An object replaces whole, so each reads, adds its own key, and writes under If-Match until it wins."""
    item = f"{models(workspace)}/m"
    await made(crowd, models(workspace), name="m")

    async def add(key: str) -> Counter[int]:
        seen: Counter[int] = Counter()
        while True:
            found = await crowd.get(item)
            body = {"custom_fields": {**found.json()["custom_fields"], key: key}}
            answer = await crowd.patch(item, json=body, headers={"If-Match": found.headers["etag"]})
            seen[answer.status_code] += 1
            if answer.status_code != 412:
                return seen

    tries = await asyncio.gather(*(add(f"k{number}") for number in range(20)))
    assert all(set(seen) <= {200, 412} and seen[200] == 1 for seen in tries)
    model = await read(crowd, item)
    assert model["custom_fields"] == {f"k{number}": f"k{number}" for number in range(20)}
    assert model["revision"] == 21


async def test_twenty_clients_change_twenty_places_by_merge_patch(crowd: httpx.AsyncClient, workspace: str) -> None:
    path = f"{models(workspace)}/m"
    await made(crowd, f"{WORKSPACES}/{workspace}/projects", name="pr")
    await made(crowd, models(workspace), name="m")
    whole = {**FIELDS, "tags": {"env": "prod"}}
    del whole["custom_fields"]
    patches = [{field: value} for field, value in whole.items()] + [{"custom_fields": {f"k{n}": n}} for n in range(8)]
    assert len(patches) == 20

    merge = {"Content-Type": "application/merge-patch+json"}
    answers = await asyncio.gather(*[crowd.patch(path, json=patch, headers=merge) for patch in patches])
    record = await read(crowd, path)

    assert statuses(answers) == {200: 20}
    assert record["revision"] == 21
    assert record["custom_fields"] == {f"k{n}": n for n in range(8)}
    assert (record["tags"], record["description"], record["project"]) == ({"env": "prod"}, "d", "pr")
    assert (record["spec"]["num_layers"], record["model_providers"]) == (3, ["other/p"])


async def test_a_hot_model_serves_64_clients(crowd: httpx.AsyncClient, workspace: str) -> None:
    item = f"{models(workspace)}/hot"
    await made(crowd, models(workspace), name="hot")

    async def work(client: int) -> list[int]:
        revisions = []
        for number in range(10):
            answer = await crowd.patch(item, json={"description": f"{client}.{number}"})
            assert answer.status_code == 200, answer.text
            assert answer.json()["description"] == f"{client}.{number}"  # the answer is of this very change
            revisions.append(answer.json()["revision"])
        return revisions

    answered = await asyncio.gather(*map(work, range(64)))
    assert sorted(chain.from_iterable(answered)) == list(range(2, 642))  # each change has a revision of its own
    assert all(revisions == sorted(revisions) for revisions in answered)
    last = next(client for client, revisions in enumerate(answered) if revisions[-1] == 641)
    assert (await read(crowd, item))["description"] == f"{last}.9"


async def test_of_those_who_ask_for_one_state_one_wins(crowd: httpx.AsyncClient, workspace: str) -> None:
    item = f"{models(workspace)}/m"
    await made(crowd, models(workspace), name="m")
    for round_ in range(10):
        tag = (await crowd.get(item)).headers["etag"]
        patches = [
            crowd.patch(item, json={"description": f"{round_}.{number}"}, headers={"If-Match": tag})
            for number in range(20)
        ]
        answers = await asyncio.gather(*patches)
        assert statuses(answers) == {200: 1, 412: 19}
        [winner] = [answer for answer in answers if answer.status_code == 200]
        for loser in answers:
            if loser is not winner:
                assert loser.headers["etag"] == loser.json()["current_etag"] == winner.headers["etag"]
        assert await read(crowd, item) == winner.json()
        assert winner.json()["revision"] == round_ + 2


async def test_of_those_who_make_one_name_one_wins(crowd: httpx.AsyncClient, workspace: str) -> None:
    for path, name in ((models(workspace), "m"), (projects(workspace), "pr"), (WORKSPACES, f"{workspace}-new")):
        creates = [crowd.post(path, json={"name": name, "description": str(number)}) for number in range(20)]
        answers = await asyncio.gather(*creates)
        assert statuses(answers) == {201: 1, 409: 19}
        assert all(answer.headers["x-should-retry"] == "false" for answer in answers if answer.status_code == 409)
        [winner] = [answer for answer in answers if answer.status_code == 201]
        assert await read(crowd, f"{path}/{name}") == winner.json()


async def test_deletes_among_patches(crowd: httpx.AsyncClient, workspace: str) -> None:
    for round_ in range(10):
        item = f"{models(workspace)}/m"
        await made(crowd, models(workspace), name="m")
        calls = [crowd.patch(item, json={"description": f"{round_}.{number}"}) for number in range(15)]
        calls[5:5] = [crowd.delete(item) for _ in range(3)]
        seen = statuses(await asyncio.gather(*calls))
        assert set(seen) <= {200, 204, 404}
        assert seen[204] == 1
        assert (await crowd.get(item)).status_code == 404


async def test_a_name_that_comes_and_goes(crowd: httpx.AsyncClient, workspace: str) -> None:
    item = f"{models(workspace)}/m"

    async def churn(client: int) -> list[httpx.Response]:
        answers = []
        for number in range(10):
            answers.append(await crowd.post(models(workspace), json={"name": "m", "description": f"{client}.{number}"}))
            answers.append(await crowd.patch(item, json={"ownership": {"client": client}}))
            answers.append(await crowd.delete(item))
        return answers

    answers = list(chain.from_iterable(await asyncio.gather(*map(churn, range(8)))))
    assert set(statuses(answers)) <= {200, 201, 204, 404, 409}
    born = statuses(answers)[201]
    there = int((await crowd.get(item)).status_code == 200)
    assert born == statuses(answers)[204] + there
    ids = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == born
    assert (await read(crowd, models(workspace)))["pagination"]["total_results"] == there


async def test_a_workspace_goes_while_models_are_made_in_it(crowd: httpx.AsyncClient, workspace: str) -> None:
    creates = [crowd.post(models(workspace), json={"name": f"m{number}"}) for number in range(40)]
    calls = [*creates[:20], crowd.delete(f"{WORKSPACES}/{workspace}"), *creates[20:]]
    answers = await asyncio.gather(*calls)
    assert set(statuses(answers)) <= {200, 201, 422}
    assert statuses(answers)[200] == 1
    for path in (models(workspace), models("-")):
        found = await read(crowd, path, **{"filter[workspace]": workspace})
        assert found["pagination"]["total_results"] == 0


async def test_a_project_goes_while_models_join_it(crowd: httpx.AsyncClient, workspace: str) -> None:
    await made(crowd, projects(workspace), name="pr")
    names = [f"m{number}" for number in range(30)]
    for name in names:
        await made(crowd, models(workspace), name=name)
    joins = [crowd.patch(f"{models(workspace)}/{name}", json={"project": "pr"}) for name in names]
    answers = await asyncio.gather(*joins[:15], crowd.delete(f"{projects(workspace)}/pr"), *joins[15:])
    assert set(statuses(answers)) <= {200, 422}
    listed = (await read(crowd, models(workspace)))["data"]
    assert len(listed) == 30
    assert not any("project" in model for model in listed)
