"""To apply a manifest, or to import an export, which hold no keys, takes none away and sends none elsewhere."""

import httpx
import pytest

from tests.api.paths import made, models

ENDPOINT = {"url": "https://engine.example/v1", "api_key": "kept-key"}


def apply(http: httpx.Client, workspace: str, endpoint: dict[str, object]) -> httpx.Response:
    operation = {"op": "apply", "kind": "model", "name": "m", "body": {"api_endpoint": endpoint}}
    return http.post(f"/apis/steelyard/v1/workspaces/{workspace}:batch", json={"operations": [operation]})


@pytest.fixture
def keyed(http: httpx.Client, workspace: str) -> str:
    """A workspace with a model whose endpoint has a key."""
    made(http, models(workspace), name="m", api_endpoint=ENDPOINT)
    return workspace


@pytest.mark.parametrize(
    ("endpoint", "kept"),
    [
        ({"url": "https://engine.example/v1"}, True),
        ({"url": "https://engine.example/v1", "model_id": "other"}, True),
        ({"url": "https://elsewhere.example/v1"}, False),
        ({"url": "https://engine.example/v1", "api_key": None}, False),
        ({"url": "https://engine.example/v1", "api_key_set": False}, False),
    ],
)
def test_a_key_that_a_manifest_does_not_speak_of_is_kept_for_its_own_url(
    http: httpx.Client, keyed: str, endpoint: dict[str, object], kept: bool
) -> None:
    assert apply(http, keyed, endpoint).status_code == 200

    assert http.get(f"{models(keyed)}/m").json()["api_endpoint"]["api_key_set"] is kept


def test_an_export_imported_over_its_own_records_changes_nothing(http: httpx.Client, keyed: str) -> None:
    base = f"/apis/steelyard/v1/workspaces/{keyed}"
    lines = http.get(f"{base}:export").text
    assert "kept-key" not in lines and "********" not in lines

    done = http.post(
        f"{base}:import",
        params={"on_conflict": "replace"},
        content=lines,
        headers={"Content-Type": "application/x-ndjson"},
    )

    assert done.json() == {"created": 0, "updated": 0, "unchanged": 2, "skipped": 0}
    assert http.get(f"{models(keyed)}/m").json()["api_endpoint"]["api_key_set"] is True
