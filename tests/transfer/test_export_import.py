"""A workspace as lines: what is exported can be taken in, and exports as the same file again."""

import json
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.paths import LAYERS, SPEC, WORKSPACES, made, models, projects, prompts
from tests.change.records import MODELS, PROMPTS

_numbers = count(1)
NDJSON = {"Content-Type": "application/x-ndjson"}


def at(workspace: str, verb: str) -> str:
    return f"/apis/steelyard/v1/workspaces/{workspace}:{verb}"


def new_workspace(http: httpx.Client) -> str:
    name = f"transfer-{next(_numbers)}"
    made(http, WORKSPACES, name=name)
    return name


def exported(http: httpx.Client, workspace: str) -> str:
    answer = http.get(at(workspace, "export"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return answer.text


def import_(http: httpx.Client, workspace: str, lines: str | list[Any], **query: str) -> httpx.Response:
    text = lines if isinstance(lines, str) else "\n".join(json.dumps(line) for line in lines)
    return http.post(at(workspace, "import"), content=text, headers=NDJSON, params=query)


_NAMES = st.sampled_from(["a", "b", "A.1", "c-d"])
_PROJECT = st.sampled_from([None, None, "pro"])


@st.composite
def contents(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Models and prompts by name, some in a project."""
    records = {}
    for sort in (MODELS, PROMPTS):
        named = draw(st.dictionaries(_NAMES, st.tuples(sort.records, _PROJECT), max_size=4))
        records[sort.kind.name] = {
            name: body | ({"project": project} if project else {}) for name, (body, project) in named.items()
        }
    for number, body in enumerate(records["model"].values()):
        if draw(st.booleans()) and number:
            body["base_model"] = next(iter(records["model"]))
    return records


def test_an_export_of_an_import_is_the_same_file(http: httpx.Client) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(contents())
    def holds(records: dict[str, dict[str, Any]]) -> None:
        source, target = new_workspace(http), new_workspace(http)
        http.patch(f"{WORKSPACES}/{source}", json={"description": "All of it"})
        made(http, projects(source), name="pro", description="A project")
        for sort in (MODELS, PROMPTS):
            for name, body in records[sort.kind.name].items():
                made(http, sort.path(source), name=name, **body)
        file = exported(http, source)
        answer = import_(http, target, file)
        assert answer.status_code == 200, answer.text
        total = 1 + sum(map(len, records.values()))
        assert answer.json() == {"created": total, "updated": 1, "unchanged": 0, "skipped": 0}
        assert exported(http, target) == file
        again = import_(http, target, file, on_conflict="replace").json()
        assert again == {"created": 0, "updated": 0, "unchanged": total + 1, "skipped": 0}
        assert import_(http, source, file, on_conflict="replace").json()["updated"] == 0
        assert http.get(models(target)).json()["data"] == [
            {**record, **_stamps(http, target, record["name"]), "workspace": target}
            | (
                {"base_model": record["base_model"].replace(f"{source}/", f"{target}/")}
                if "base_model" in record
                else {}
            )
            for record in http.get(models(source), params={"sort": "name"}).json()["data"]
        ]

    holds()


def _stamps(http: httpx.Client, workspace: str, name: str) -> dict[str, Any]:
    found = http.get(f"{models(workspace)}/{name}").json()
    stamps = {key: found[key] for key in ("id", "created_at", "updated_at", "revision")}
    # Trust that is imported is given anew, by whoever imports.
    decided = {key: value for key, value in (found["trust_decision"] or {}).items() if value is not None}
    return stamps | ({"trust_decision": decided} if decided else {})


@pytest.fixture
def full(http: httpx.Client) -> str:
    """A workspace with one record of each kind, a secret, and layers."""
    workspace = new_workspace(http)
    made(http, projects(workspace), name="pro")
    endpoint = {"url": "https://a", "api_key": "sk-canary-export", "model_id": "x"}
    spec = {**SPEC, "linear_layers": LAYERS}
    made(http, models(workspace), name="m", project="pro", api_endpoint=endpoint, spec=spec, base_model="other/b")
    made(http, prompts(workspace), name="p", messages=[{"role": "user", "content": "Zeile\u2028zwei\r\n"}])
    return workspace


def test_an_export_holds_all_but_secrets_stamps_and_the_own_name(http: httpx.Client, full: str) -> None:
    file = exported(http, full)
    for absent in ("sk-canary", "v2.", "api_key", "created_at", "updated_at", '"revision"', "model-", full):
        assert absent not in file
    header, *lines = [json.loads(line) for line in file.split("\n") if line]
    assert header == {"steelyard_export": 1}
    assert [line["kind"] for line in lines] == ["workspace", "project", "prompt", "model"]
    model = lines[-1]["record"]
    assert model["spec"]["linear_layers"] == LAYERS
    assert (model["project"], model["base_model"]) == ("pro", "other/b")
    assert exported(http, full) == file


def test_an_export_of_what_is_not_there_is_not_found(http: httpx.Client) -> None:
    assert http.get(at("nowhere-at-all", "export")).status_code == 404


def test_what_is_there_already_is_refused_replaced_or_skipped(http: httpx.Client, full: str) -> None:
    target = new_workspace(http)
    made(http, models(target), name="m", description="mine")
    file = exported(http, full)
    for query in ({}, {"on_conflict": "refuse"}):
        refused = import_(http, target, file, **query)
        assert (refused.status_code, refused.json()["line"]) == (409, 5)
        assert http.get(prompts(target)).json()["data"] == [], "all or nothing"
    skipped = import_(http, target, file, on_conflict="skip")
    assert skipped.json() == {"created": 2, "updated": 0, "unchanged": 1, "skipped": 1}
    assert http.get(f"{models(target)}/m").json()["description"] == "mine"
    replaced = import_(http, target, file, on_conflict="replace")
    assert replaced.json() == {"created": 0, "updated": 1, "unchanged": 3, "skipped": 0}
    assert http.get(f"{models(target)}/m").json()["description"] is None
    assert exported(http, target) == file
    assert import_(http, target, file, on_conflict="perhaps").status_code == 422


MODEL_LINE = {"kind": "model", "name": "new", "record": {}}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ('{"kind": "model", "name": "m"', 422),
        ("[]", 422),
        ('"text"', 422),
        ('{"kind": "cat", "name": "m", "record": {}}', 422),
        ('{"kind": "model", "record": {}}', 422),
        ('{"kind": "model", "name": "m", "record": []}', 422),
        ('{"kind": "model", "name": "m", "record": {}, "more": 1}', 422),
        ('{"kind": "model", "name": "a b", "record": {}}', 422),
        ('{"kind": "model", "name": "m", "record": {"name": "n"}}', 422),
        ('{"kind": "model", "name": "m", "record": {"descripton": "x"}}', 422),
        ('{"kind": "model", "name": "m", "record": {"description": 5}}', 422),
        ('{"kind": "model", "name": "m", "record": {"project": "nowhere"}}', 422),
        ('{"kind": "model", "name": "m", "record": {"fileset": "nowhere"}}', 400),
        ('{"kind": "model", "name": "new", "record": {}}', 409),
        ('{"steelyard_export": 1}', 422),
        ('{"kind": "model", "name": "m", "record": {"description": "a", "description": "b"}}', 422),
    ],
)
def test_an_error_names_its_line_and_nothing_is_taken(http: httpx.Client, line: str, status: int) -> None:
    target = new_workspace(http)
    text = f'{{"steelyard_export": 1}}\n\n{json.dumps(MODEL_LINE)}\n{line}\n'
    answer = import_(http, target, text)
    assert (answer.status_code, answer.json()["line"]) == (status, 4), answer.text
    assert http.get(models(target)).json()["data"] == []
    assert http.get(f"{WORKSPACES}/{target}/revisions").json()["pagination"]["total_results"] == 1


def test_a_file_of_another_version_is_refused(http: httpx.Client, workspace: str) -> None:
    assert import_(http, workspace, [{"steelyard_export": 2}, MODEL_LINE]).json()["line"] == 1
    assert http.post(at(workspace, "import"), content="{}", headers={"Content-Type": "text/csv"}).status_code == 415
    assert import_(http, "nowhere-at-all", [MODEL_LINE]).status_code == 422


def test_a_dry_run_of_an_import_counts_and_takes_nothing(http: httpx.Client, full: str) -> None:
    target, file = new_workspace(http), exported(http, full)
    shown = import_(http, target, file, dry_run="true")
    assert shown.json() == {"created": 3, "updated": 0, "unchanged": 1, "skipped": 0}
    assert http.get(models(target)).json()["data"] == []
    assert import_(http, target, file).json() == shown.json()


def test_ten_thousand_records_go_out_as_a_stream_and_come_in_at_once(http: httpx.Client) -> None:
    source, target = new_workspace(http), new_workspace(http)
    lines = [
        {"kind": "model", "name": f"m-{number:05}", "record": {"description": "x" * 100}} for number in range(10_000)
    ]
    assert import_(http, source, lines).json()["created"] == 10_000
    parts: list[bytes] = []
    with http.stream("GET", at(source, "export")) as answer:
        assert "content-length" not in answer.headers
        for part in answer.iter_raw():
            parts.append(part)
    file = b"".join(parts)
    assert len(parts) > 10
    assert file.count(b"\n") == 10_002
    assert import_(http, target, file.decode()).json()["created"] == 10_000
    assert exported(http, target) == file.decode()
    for workspace in (source, target):
        http.delete(f"{WORKSPACES}/{workspace}", params={"purge": "true"})
