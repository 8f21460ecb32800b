"""Webhooks as records: what they take, what they show, and that their secrets are shown once."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.paths import faults
from tests.webhooks.conftest import Home, at_home
from tests.webhooks.receivers import Receiver

URL = "https://hooks.example/steelyard"
MINE = "whsec_" + "Q0FOQVJZ" * 6
MERGE = {"Content-Type": "application/merge-patch+json"}


def test_a_secret_that_the_server_makes_is_shown_once(home: Home) -> None:
    made = home.hook(URL)
    secret = made["signing"]["secret"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert made["signing"]["secret_set"] is True
    assert (made["kinds"], made["enabled"], made["revision"]) == ([], True, 1)

    rotated = home.http.post(f"{home.webhooks}/w:rotate-secret").json()
    assert rotated["signing"]["secret"] not in {None, secret}
    assert rotated["revision"] == 2

    for answer in (
        home.http.get(f"{home.webhooks}/w"),
        home.http.get(home.webhooks),
        home.http.get(f"{home.webhooks}/w/revisions"),
        home.http.get(f"{home.webhooks}/w/revisions/1...2"),
        home.http.get(f"{home.webhooks}/w/status"),
        home.http.get("/apis/steelyard/v1/events", params={"workspace": home.workspace}),
        home.http.patch(f"{home.webhooks}/w", json={"description": "d"}),
    ):
        assert answer.status_code == 200
        assert secret not in answer.text
        assert rotated["signing"]["secret"] not in answer.text
    assert home.get()["signing"] == {"secret": None, "secret_set": True}


def test_a_secret_of_the_callers_own_is_not_shown_at_all(home: Home) -> None:
    assert home.hook(URL, signing={"secret": MINE})["signing"] == {"secret": None, "secret_set": True}
    answer = home.http.patch(f"{home.webhooks}/w", json={"signing": {"secret": MINE}})
    assert (answer.status_code, answer.json()["revision"]) == (200, 1)


def test_a_repetition_for_a_key_does_not_show_the_secret_again(home: Home) -> None:
    for path, body in ((home.webhooks, {"name": "w", "url": URL}), (f"{home.webhooks}/w:rotate-secret", None)):
        send = {"headers": {"Idempotency-Key": f"k-{home.workspace}"}, **({"json": body} if body else {})}
        first, again = (home.http.post(path, **send) for _ in range(2))  # type: ignore[arg-type]
        assert first.json()["signing"]["secret"].startswith("whsec_")
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json() == {**first.json(), "signing": {"secret": None, "secret_set": True}}
        assert (again.status_code, again.headers["etag"]) == (first.status_code, first.headers["etag"])


def test_a_dry_run_shows_no_secret_and_keeps_nothing(home: Home) -> None:
    answer = home.http.post(home.webhooks, params={"dry_run": "true"}, json={"name": "w", "url": URL})
    assert answer.status_code == 200
    assert "whsec_" not in answer.text
    assert home.http.get(f"{home.webhooks}/w").status_code == 404


def test_an_answer_can_be_sent_back_and_keeps_the_secret(home: Home) -> None:
    home.hook(URL)
    shown = home.get()
    for headers in ({"Content-Type": "application/json"}, MERGE):
        answer = home.http.patch(f"{home.webhooks}/w", json=shown, headers=headers)
        assert (answer.status_code, answer.json()) == (200, shown)
    elsewhere = home.http.patch(f"{home.webhooks}/w", json={**shown, "url": "https://other.example"})
    assert elsewhere.json()["signing"]["secret_set"] is True


@pytest.mark.parametrize(
    "patch", [{"signing": None}, {"signing": {"secret": None}}, {"url": None}, {"kinds": None}, {"enabled": None}]
)
def test_what_a_webhook_needs_cannot_be_taken_away(home: Home, patch: dict[str, Any]) -> None:
    home.hook(URL)
    answer = home.http.patch(f"{home.webhooks}/w", json=patch, headers=MERGE)
    if patch == {"signing": {"secret": None}}:
        assert [(place[1], type) for place, type in faults(answer)] == [("signing", "required")]
    else:
        assert faults(answer) == [(("body", *patch), "required")]
    assert home.get()["revision"] == 1


@pytest.mark.parametrize(
    ("body", "place", "type"),
    [
        ({}, "url", "missing"),
        ({"url": "ftp://hooks.example"}, "url", "url"),
        ({"url": "https://u:p@hooks.example"}, "url", "url"),
        ({"url": "http://169.254.169.254/latest"}, "url", "outbound_refused"),
        ({"url": "http://[fd00:ec2::254]/"}, "url", "outbound_refused"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url", "outbound_refused"),
        ({"url": "http://2130706433/"}, "url", "outbound_refused"),
        ({"url": "http://0177.0.0.1/"}, "url", "outbound_refused"),
        ({"url": URL, "kinds": ["model", "modle"]}, "kinds", "kind"),
        ({"url": URL, "signing": {"secret": "whsec_short"}}, "signing", "signing_secret"),
        ({"url": URL, "signing": {"secret": "canary"}}, "signing", "signing_secret"),
        ({"url": URL, "signing": {"secret": "********"}}, "signing", "read_only"),
        ({"url": URL, "signing": {"canary": 1}}, "signing", "unknown_field"),
        ({"url": URL, "signing": "canary"}, "signing", "model_attributes_type"),
        ({"url": URL, "enabeld": True}, "enabeld", "unknown_field"),
    ],
)
def test_what_is_refused(shared: Home, body: dict[str, Any], place: str, type: str) -> None:
    answer = shared.http.post(shared.webhooks, json={"name": "w", **body})
    assert [(location[1], kind) for location, kind in faults(answer)] == [(place, type)]
    assert "canary" not in str([fault.get("input") for fault in answer.json()["detail"]])


def test_an_address_is_looked_at_again_where_it_changes(home: Home) -> None:
    home.hook(URL)
    for headers in ({"Content-Type": "application/json"}, MERGE):
        answer = home.http.patch(f"{home.webhooks}/w", json={"url": "http://10.0.0.1/"}, headers=headers)
        assert faults(answer) == [(("body", "url"), "outbound_refused")]


def test_kinds_are_kept_once_each(home: Home) -> None:
    assert home.hook(URL, kinds=["model", "prompt", "model"])["kinds"] == ["model", "prompt"]


def test_filters_and_conditions_are_those_of_all_records(home: Home) -> None:
    home.hook(URL, "a")
    home.hook(URL, "b", enabled=False)
    found = home.http.get(home.webhooks, params={"filter[enabled]": "false"}).json()["data"]
    assert [one["name"] for one in found] == ["b"]
    assert (
        home.http.get(home.webhooks, params={"filter": '{"data.signing.secret": {"$like": "v1"}}'}).status_code == 400
    )
    stale = {"If-Match": '"webhook-x.1"'}
    assert home.http.patch(f"{home.webhooks}/a", json={"description": "d"}, headers=stale).status_code == 412
    assert home.http.post(f"{home.webhooks}/a:rotate-secret", headers=stale).status_code == 412


@pytest.mark.parametrize("action", [":ping", ":rotate-secret", ":redeliver"])
def test_a_webhook_that_is_not_there(home: Home, action: str) -> None:
    send = {"json": {"cursor": "1"}} if action == ":redeliver" else {}
    assert home.http.post(f"{home.webhooks}/none{action}", **send).status_code == 404  # type: ignore[arg-type]
    assert home.http.get(f"{home.webhooks}/none/status").status_code == 404
    assert home.http.get(f"{home.webhooks}/none/deliveries").status_code == 404


def test_no_secret_is_in_the_log_or_on_the_disk(data_dir: Path, receiver: Receiver) -> None:
    with at_home(data_dir, "--set", "log.level=debug") as home:
        made = home.hook(f"{receiver.url}?token=url-canary", "a")["signing"]["secret"]
        key = {"Idempotency-Key": "k"}
        own = home.http.post(
            home.webhooks, headers=key, json={"name": "b", "url": receiver.url, "signing": {"secret": MINE}}
        )
        other = home.http.post(home.webhooks, headers=key | {"Idempotency-Key": "l"}, json={"name": "c", "url": URL})
        rotated = home.http.post(f"{home.webhooks}/a:rotate-secret", headers={"Idempotency-Key": "m"})
        home.model("m")
        receiver.wait_for(3)
        for name in ("a", "b"):
            home.http.post(f"{home.webhooks}/{name}:ping")
        receiver.wait_for(5)
        secrets = [made, MINE, *(answer.json()["signing"]["secret"] for answer in (other, rotated))]
        assert own.status_code == 201
        home.server.stop()
        assert len(set(secrets)) == 4
        stored = b"".join(file.read_bytes() for file in data_dir.rglob("*") if file.is_file())
        for secret in secrets:
            assert secret not in home.server.log
            assert secret.removeprefix("whsec_").encode() not in stored
        assert "url-canary" not in home.server.log
        sent = b"".join(message.body for message in receiver.messages)
        assert not any(secret.encode() in sent for secret in secrets)


def test_loopback_is_refused_where_nothing_is_allowed(http: httpx.Client, workspace: str, receiver: Receiver) -> None:
    path = f"/apis/steelyard/v1/workspaces/{workspace}/webhooks"
    for url in (receiver.url, "http://localhost/", f"http://[::1]:{receiver.port}/", "http://0.0.0.0/"):
        assert faults(http.post(path, json={"name": "w", "url": url})) == [(("body", "url"), "outbound_refused")]
