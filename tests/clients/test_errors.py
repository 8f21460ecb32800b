"""A refusal reaches the SDK's caller as the exception of its status, after one request and no more."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from nemo_platform import (  # type: ignore[import-not-found,unused-ignore]
    APIStatusError,
    BadRequestError,
    ConflictError,
    NeMoPlatform,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableEntityError,
)


class Counted:
    """An SDK client, and the requests that it has sent."""

    def __init__(self, url: str, workspace: str) -> None:
        self.requests: list[httpx.Request] = []
        self._http = httpx.Client(event_hooks={"request": [self.requests.append]})
        self.sdk = NeMoPlatform(base_url=url, workspace=workspace, http_client=self._http)

    def close(self) -> None:
        """Closes the connections of both."""
        self._http.close()


@pytest.fixture
def counted(server_url: str, workspace: str) -> Iterator[Counted]:
    """A client whose requests are counted, in a workspace with the model `llama`, a fileset and a secret."""
    client = Counted(server_url, workspace)
    client.sdk.models.create(name="llama")
    client.sdk.files.filesets.create(name="data")
    client.sdk.secrets.create(name="key", value="a secret")
    client.requests.clear()
    yield client
    client.close()


Refusal = tuple[Callable[[Any], Any], type[APIStatusError], str]
_invalid = UnprocessableEntityError
REFUSALS: dict[str, Refusal] = {
    "get a model that is not there": (lambda sdk: sdk.models.retrieve("none"), NotFoundError, "not_found"),
    "update one": (lambda sdk: sdk.models.update("none", description="x"), NotFoundError, "not_found"),
    "delete one": (lambda sdk: sdk.models.delete("none"), NotFoundError, "not_found"),
    "get one of no workspace": (lambda sdk: sdk.models.retrieve("a", workspace="none"), NotFoundError, "not_found"),
    "get a workspace that is not there": (lambda sdk: sdk.workspaces.retrieve("none"), NotFoundError, "not_found"),
    "update a project that is not there": (lambda sdk: sdk.projects.update("none"), NotFoundError, "not_found"),
    "create a model twice": (lambda sdk: sdk.models.create(name="llama"), ConflictError, "already_exists"),
    "create a workspace twice": (lambda sdk: sdk.workspaces.create(name="default"), ConflictError, "already_exists"),
    "delete a built-in workspace": (lambda sdk: sdk.workspaces.delete("default"), ConflictError, "protected"),
    "a bad name": (lambda sdk: sdk.models.create(name="a b"), _invalid, "invalid_input"),
    "a bad choice": (lambda sdk: sdk.models.update("llama", finetuning_type="magic"), _invalid, "invalid_input"),
    "a spec with nothing in it": (lambda sdk: sdk.models.update("llama", spec={}), _invalid, "invalid_input"),
    "a model made from itself": (lambda sdk: sdk.models.update("llama", base_model="llama"), _invalid, "invalid_input"),
    "create in no workspace": (
        lambda sdk: sdk.models.create(name="x", workspace="none"),
        _invalid,
        "invalid_parameters",
    ),
    "a page without rows": (lambda sdk: sdk.models.list(page_size=0), _invalid, "invalid_parameters"),
    "an unknown sort": (lambda sdk: sdk.models.list(sort="size"), _invalid, "invalid_parameters"),
    "an unknown filter": (lambda sdk: sdk.models.list(filter={"colour": "red"}), BadRequestError, "bad_filter"),
    "a fileset that is not there": (
        lambda sdk: sdk.models.update("llama", fileset="x"),
        BadRequestError,
        "bad_reference",
    ),
    "get a fileset that is not there": (lambda sdk: sdk.files.filesets.retrieve("none"), NotFoundError, "not_found"),
    "update such a fileset": (lambda sdk: sdk.files.filesets.update("none"), NotFoundError, "not_found"),
    "delete such a fileset": (lambda sdk: sdk.files.filesets.delete("none"), NotFoundError, "not_found"),
    "create a fileset twice": (lambda sdk: sdk.files.filesets.create(name="data"), ConflictError, "already_exists"),
    "a bad name of a fileset": (lambda sdk: sdk.files.filesets.create(name="Data"), _invalid, "invalid_input"),
    "a fileset in no workspace": (
        lambda sdk: sdk.files.filesets.create(name="data", workspace="none"),
        _invalid,
        "invalid_parameters",
    ),
    "too many filesets a page": (lambda sdk: sdk.files.filesets.list(page_size=5000), _invalid, "invalid_parameters"),
    "get an adapter that is not there": (lambda sdk: sdk.adapters.retrieve("none"), NotFoundError, "not_found"),
    "update such an adapter": (lambda sdk: sdk.adapters.patch("none", enabled=True), NotFoundError, "not_found"),
    "delete such an adapter": (lambda sdk: sdk.adapters.delete("none"), NotFoundError, "not_found"),
    "delete it under its model": (
        lambda sdk: sdk.models.adapters.delete("none", model_name="llama"),
        NotFoundError,
        "not_found",
    ),
    "an adapter of files that are not there": (
        lambda sdk: sdk.models.adapters.create("llama", name="a", fileset="none", finetuning_type="lora"),
        BadRequestError,
        "bad_reference",
    ),
    "get a secret that is not there": (lambda sdk: sdk.secrets.retrieve("none"), NotFoundError, "not_found"),
    "an empty secret": (lambda sdk: sdk.secrets.create(name="s", value=""), _invalid, "invalid_input"),
    "read a secret": (lambda sdk: sdk.secrets.access("key"), PermissionDeniedError, "forbidden"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_has_its_class_and_its_code_and_is_not_sent_again(counted: Counted, refusal: Refusal) -> None:
    call, error, code = refusal

    with pytest.raises(error) as raised:
        call(counted.sdk)

    assert type(raised.value) is error
    assert raised.value.body["code"] == code
    assert len(counted.requests) == 1


def test_the_message_of_an_error_shows_what_was_wrong(counted: Counted) -> None:
    with pytest.raises(UnprocessableEntityError, match="finetuning_type"):
        counted.sdk.models.update("llama", finetuning_type="magic")


def test_a_field_that_does_not_exist_is_refused_with_the_nearest_one(counted: Counted) -> None:
    with pytest.raises(UnprocessableEntityError, match="did you mean 'description'"):
        counted.sdk.models.update("llama", extra_body={"descripton": "x"})


def test_a_condition_that_does_not_hold_is_412_and_is_not_sent_again(counted: Counted) -> None:
    tag = counted.sdk.models.with_raw_response.retrieve("llama").headers["etag"]
    counted.sdk.models.update("llama", description="first", extra_headers={"If-Match": tag})
    counted.requests.clear()

    with pytest.raises(APIStatusError) as raised:
        counted.sdk.models.update("llama", description="second", extra_headers={"If-Match": tag})

    assert (raised.value.status_code, raised.value.body["code"]) == (412, "precondition_failed")
    assert len(counted.requests) == 1
    assert counted.sdk.models.retrieve("llama").description == "first"


def test_a_refused_update_writes_nothing(counted: Counted) -> None:
    before = counted.sdk.models.retrieve("llama")

    with pytest.raises(UnprocessableEntityError):
        counted.sdk.models.update("llama", description="new", finetuning_type="magic")

    assert counted.sdk.models.retrieve("llama") == before


def test_the_request_id_of_the_caller_is_answered_with_an_error_too(counted: Counted) -> None:
    with pytest.raises(NotFoundError) as raised:
        counted.sdk.models.retrieve("none", extra_headers={"x-request-id": "mine-7"})

    assert raised.value.response.headers["x-request-id"] == "mine-7"
