"""The SDK and `nemo` keep providers and virtual models."""

import json
from typing import Any

import pytest
from nemo_platform import (  # type: ignore[import-not-found,unused-ignore]
    AsyncNeMoPlatform,
    BadRequestError,
    ConflictError,
    NeMoPlatform,
    NotFoundError,
    UnprocessableEntityError,
)

from tests.clients.conftest import Nemo

URL = "https://api.example.com/v1"


def test_a_provider_from_its_making_to_its_end(sdk: NeMoPlatform) -> None:
    sdk.secrets.create(name="key", value="s3cret")
    made = sdk.inference.providers.create(
        name="p",
        host_url=URL,
        api_key_secret_name="key",
        auth_header_format="X-Api-Key: {{ auth_secret }}",
        default_extra_headers={"X-Team": "t"},
        required_extra_body={"top_k": 1},
        enabled_models=["a"],
    )
    assert (made.name, made.workspace, made.host_url, made.status) == ("p", sdk.workspace, URL, "CREATED")
    assert made.status_message == "Model provider created"
    assert sdk.inference.providers.retrieve("p") == made

    updated = sdk.inference.providers.update("p", host_url="https://other.example.com", description="d")
    assert (updated.id, updated.description, updated.auth_header_format) == (made.id, "d", None)
    new = sdk.inference.providers.update("q", host_url=URL)
    assert (new.name, new.status) == ("q", "CREATED")
    assert [one.name for one in sdk.inference.providers.list(sort="-name", page_size=1)] == ["q", "p"]
    assert [one.name for one in sdk.inference.providers.list(filter={"description": "d"})] == ["p"]
    assert sdk.inference.providers.delete("p") is None
    with pytest.raises(NotFoundError):
        sdk.inference.providers.retrieve("p")


def test_a_status_says_what_is_served_and_the_models_follow(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="m")
    sdk.inference.providers.create(name="p", host_url=URL)

    told = sdk.inference.providers.update_status(
        "p", status="READY", served_models=[{"model_entity_id": "m", "served_model_name": "org/m"}]
    )

    assert (told.status, told.status_message) == ("READY", "")
    (served,) = told.served_models
    assert (served.model_entity_id, served.served_model_name) == (f"{sdk.workspace}/m", "org/m")
    assert sdk.models.retrieve("m").model_providers == [f"{sdk.workspace}/p"]
    ready = sdk.inference.providers.list(filter={"status": "READY"}, sort="-status")
    assert [one.name for one in ready] == ["p"]
    sdk.inference.providers.delete("p")
    assert sdk.models.retrieve("m").model_providers == []


def test_what_is_wrong_with_a_provider_is_told(sdk: NeMoPlatform) -> None:
    create = sdk.inference.providers.create
    create(name="p", host_url=URL)
    with pytest.raises(ConflictError):
        create(name="p", host_url=URL)
    assert create(name="p", host_url=URL, exist_ok=True).name == "p"
    with pytest.raises(BadRequestError, match="secret 'none' not found"):
        create(name="q", host_url=URL, api_key_secret_name="none")
    for wrong in (
        {"host_url": "file:///etc/passwd"},
        {"host_url": "http://169.254.169.254/"},
        {"host_url": URL, "auth_header_format": "Bearer"},
        {"host_url": URL, "default_extra_headers": {"Host": "x"}},
    ):
        with pytest.raises(UnprocessableEntityError):
            create(name="q", **wrong)


TRANSLATE: dict[str, Any] = {"name": "nemo-switchyard", "config_type": "translate", "config": {}}


def test_a_virtual_model_from_its_making_to_its_end(sdk: NeMoPlatform) -> None:
    virtual = sdk.inference.virtual_models
    made = virtual.create(
        name="chat",
        default_model_entity=f"{sdk.workspace}/m",
        models=[{"model": f"{sdk.workspace}/m", "backend_format": "ANTHROPIC_MESSAGES"}],
        request_middleware=[TRANSLATE],
        response_middleware=[TRANSLATE],
    )
    assert (made.name, made.entity_id, made.autoprovisioned) == ("chat", made.id, False)
    assert made.models[0].backend_format == "ANTHROPIC_MESSAGES"
    assert made.request_middleware[0].config_type == "translate"
    assert virtual.retrieve("chat") == made

    patched = virtual.patch("chat", default_model_entity=None, request_middleware=[])
    assert (patched.default_model_entity, patched.request_middleware) == (None, [])
    assert patched.response_middleware == made.response_middleware
    for number in range(2):
        virtual.create(name=f"other-{number}")
    assert [one.name for one in virtual.list(page_size=1, sort="name")] == ["chat", "other-0", "other-1"]
    assert len(list(virtual.list(exclude_autoprovisioned=True))) == 3
    assert list(virtual.list(filter={"default_model_entity": "m"})) == []
    assert virtual.delete("chat") is None
    with pytest.raises(NotFoundError):
        virtual.retrieve("chat")


def test_what_a_virtual_model_cannot_be_is_told(sdk: NeMoPlatform) -> None:
    create = sdk.inference.virtual_models.create
    random = {"name": "nemo-switchyard", "config_type": "random_routing", "config": {"weights": [1, 2]}}
    with pytest.raises(UnprocessableEntityError, match="give the models of the virtual model weights"):
        create(name="chat", request_middleware=[random])
    for wrong in ({"override_proxy": "plugin.proxy"}, {"autoprovisioned": True}, {"default_model_entity": "a/b/c"}):
        with pytest.raises(UnprocessableEntityError):
            create(name="chat", **wrong)
    with pytest.raises(UnprocessableEntityError):
        create(name="Chat")


async def test_the_asynchronous_client_does_the_same(async_sdk: AsyncNeMoPlatform) -> None:
    await async_sdk.inference.providers.create(name="p", host_url=URL)
    told = await async_sdk.inference.providers.update_status("p", status_message="by hand")
    assert (told.status, told.status_message) == ("CREATED", "by hand")
    await async_sdk.inference.virtual_models.create(name="chat")
    assert [one.name async for one in async_sdk.inference.virtual_models.list()] == ["chat"]


def test_the_command_keeps_both(nemo: Nemo, workspace: str) -> None:
    home = ("--workspace", workspace)
    created = nemo("inference", "providers", "create", "p", *home, "--host-url", URL, "--enabled-models", "a")
    assert created.returncode == 0, created.stderr
    assert json.loads(created.stdout)["enabled_models"] == ["a"]
    served = '[{"model_entity_id": "m", "served_model_name": "x"}]'
    told = nemo("inference", "providers", "update-status", "p", *home, "--status", "READY", "--served-models", served)
    assert told.returncode == 0, told.stdout + told.stderr
    assert json.loads(told.stdout)["status"] == "READY"
    replaced = nemo(
        "inference", "providers", "update", "p", *home, "--host-url", URL, "--description", "d", "-f", "json"
    )
    assert replaced.returncode == 0, replaced.stderr
    after = json.loads(replaced.stdout)
    # Not its status: the server asks it meanwhile, and nobody answers.
    assert (after["description"], after["served_models"][0]["served_model_name"]) == ("d", "x")

    virtual = nemo("inference", "virtual-models", "create", "chat", *home, "--default-model-entity", f"{workspace}/m")
    assert virtual.returncode == 0, virtual.stdout + virtual.stderr
    listed = nemo("inference", "virtual-models", "list", *home, "-f", "json")
    assert [one["name"] for one in json.loads(listed.stdout)["data"]] == ["chat"]
