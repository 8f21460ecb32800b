"""The served OpenAPI document says all that the contract says of the paths which we serve.

`contract.json` holds the contract's facts (`make_contract.py` says where they come from), `compare.py` what compatible
means.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.compare import Comparison, Document

CONTRACT = Document(json.loads(Path(__file__).with_name("contract.json").read_text()))
OPERATIONS = [(method, path) for path, item in CONTRACT.body["paths"].items() for method in item]

# `\w` takes letters of every script and `$` a trailing newline there; a name is ASCII here, from end to end.
PATTERNS = {
    r"^[\w\-.]+$": r"^[A-Za-z0-9_\-.]+$",
    r"^[\w\-./]+$": r"^[A-Za-z0-9_\-.@+/]+$",
    # A workspace, as it is named wherever it is made.
    r"^[\w\-\+.@:]+$": r"^[a-z](?!.*--)[a-z0-9\-@.+_]{1,62}(?<!-)$",
    # A reference to a secret: whatever a secret may be named.
    r"^[a-z0-9_-]+(/[a-z0-9_-]+)?$": r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)?$",
}

_ADAPTERS = "get /apis/models/v2/workspaces/{workspace}/adapters"
_VIRTUAL_MODELS = "get /apis/inference-gateway/v2/workspaces/{workspace}/virtual-models"
_FILESETS = "/apis/files/v2/workspaces/{workspace}/filesets"
_FILTERED = (
    "get /apis/models/v2/workspaces/{workspace}/models",
    "get /apis/models/v2/workspaces/{workspace}/prompts",
    "get /apis/models/v2/workspaces/{workspace}/providers",
    _VIRTUAL_MODELS,
    _ADAPTERS,
    f"get {_FILESETS}",
)
_STORAGES = (
    f"get {_FILESETS} 200.data[].storage",
    f"post {_FILESETS} 200.storage",
    *(f"{method} {_FILESETS}/{{name}} 200.storage" for method in ("get", "patch", "delete")),
)
# What is otherwise here on purpose. A line that is no longer true is a failure, so that it goes.
DEVIATIONS = {
    # A query has one schema in OpenAPI, and a filter three spellings; `test_every_filter_field...` holds the brackets.
    *(f"{place} ?filter: object may be sent, but only ['null', 'string'] can be taken" for place in _FILTERED),
    # There any text is taken, and one that is no field sorts by nothing; here it is refused.
    *(f"{place} ?sort: ['anything'] may be sent, but is none of the choices" for place in (_ADAPTERS, _VIRTUAL_MODELS)),
    # The contract states the pattern of other records; behind it stands this one (a fileset named `Up` is refused).
    rf"post {_FILESETS} body.name: the pattern is ^[a-z](?!.*--)[a-z0-9\-@.+_]{{1,62}}(?<!-)$, not ^[A-Za-z0-9_\-.]+$",
    # One schema tells what is sent and what is answered: `path` may be left out, and is always answered.
    *(f"{place}.path: may be missing, but is always there in the contract" for place in _STORAGES),
    # A sort of storage that is not there: whoever makes such a fileset knows it.
    *(f"{place}.type: ['https'] may be sent, but is none of the choices" for place in _STORAGES),
    *(f"{place}.{field}: is missing" for place in _STORAGES for field in ("path", "write_buffer_size")),
    # An answer to HEAD has no body.
    f"head {_FILESETS}/{{name}}/-/{{path}} 200: application/json is missing",
}


@pytest.fixture(scope="module")
def ours(http: httpx.Client) -> Document:
    """The document that the server answers."""
    return Document(http.get("/openapi.json").raise_for_status().json())


def _body(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return {media: value["schema"] for media, value in content.items()}


def _answers(operation: dict[str, Any]) -> dict[str, Any]:
    """Status and media type -> schema, of the answers to what went well."""
    found: dict[str, Any] = {}
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            found[status] = {media: value["schema"] for media, value in answer.get("content", {}).items()}
    return found


def differences(ours: Document, method: str, path: str) -> Iterator[str]:
    """What of one operation is not as the contract says."""
    theirs, mine = CONTRACT.body["paths"][path][method], ours.body["paths"].get(path, {}).get(method)
    place = f"{method} {path}"
    if mine is None:
        yield f"{place}: is missing"
        return
    request, answer = (Comparison(CONTRACT, ours, way, PATTERNS) for way in ("request", "answer"))
    parameters = {(given["in"], given["name"]): given for given in mine.get("parameters", [])}
    for wanted in theirs.get("parameters", []):
        name, given = wanted["name"], parameters.pop((wanted["in"], wanted["name"]), None)
        if given is None:
            yield f"{place} ?{name}: is missing"
            continue
        yield from request.differences(wanted["schema"], given["schema"], f"{place} ?{name}")
        if wanted["schema"].get("default") != given["schema"].get("default"):
            yield f"{place} ?{name}: the default is {given['schema'].get('default')}"
        if given.get("required") and not wanted.get("required"):
            yield f"{place} ?{name}: is required"
    yield from (f"{place} ?{name}: is required" for (_, name), more in parameters.items() if more.get("required"))
    for media, schema in _body(theirs).items():
        yield from request.differences(schema, _body(mine)[media], f"{place} body")
    for status, content in _answers(theirs).items():
        if status not in _answers(mine):
            yield f"{place} {status}: is missing"
        for media, schema in content.items() if status in _answers(mine) else ():
            if media in _answers(mine)[status]:
                yield from answer.differences(schema, _answers(mine)[status][media], f"{place} {status}")
            else:
                yield f"{place} {status}: {media} is missing"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_operation_takes_and_answers_what_the_contract_says(ours: Document, method: str, path: str) -> None:
    assert [found for found in differences(ours, method, path) if found not in DEVIATIONS] == []


def test_every_deviation_that_is_written_down_is_one(ours: Document) -> None:
    found = {difference for operation in OPERATIONS for difference in differences(ours, *operation)}

    assert set(DEVIATIONS) - found == set()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (path, field)
        for path, item in CONTRACT.body["paths"].items()
        for parameter in item.get("get", {}).get("parameters", [])
        if parameter["name"] == "filter"
        for field in CONTRACT.resolve(parameter["schema"]).get("properties", {})
    ],
)
def test_every_filter_field_of_the_contract_is_taken_in_brackets(
    http: httpx.Client, workspace: str, path: str, field: str
) -> None:
    value = "2026-01-31" if field.endswith("_at") else "true"
    answer = http.get(path.format(workspace=workspace), params={f"filter[{field}]": value})

    assert answer.status_code == 200, answer.text
