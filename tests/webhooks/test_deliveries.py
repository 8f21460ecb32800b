"""Changes arrive: signed, in order, at least once, whatever the receiver or the server does meanwhile."""

import json
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from tests.webhooks.conftest import Home, at_home
from tests.webhooks.receivers import Answer, Receiver, receiving, until


def names(receiver: Receiver) -> list[str]:
    """The names of the records whose changes came, each once, in the order of their first coming."""
    found: dict[str, str] = {}
    for message in receiver.messages:
        found.setdefault(message.id, json.loads(message.body)["data"]["name"])
    return list(found.values())


def test_a_change_arrives_signed_and_as_the_feed_tells_it(home: Home, receiver: Receiver) -> None:
    home.model("before")
    secret = home.hook(receiver.url)["signing"]["secret"]
    home.model("m")
    assert home.http.patch(f"{home.models}/m", json={"description": "d"}).status_code == 200

    first, second = receiver.wait_for(2)[:2]

    feed = home.http.get("/apis/steelyard/v1/events", params={"kind": "model", "workspace": home.workspace}).json()[
        "data"
    ]
    for message, event in zip((first, second), feed[-2:], strict=True):
        payload = message.verified(secret)
        assert payload == {"type": event["event"], "timestamp": event["at"], "data": event}
        assert message.headers["content-type"] == "application/json"
    assert (first.verified(secret)["type"], second.verified(secret)["type"]) == ("model.create", "model.update")
    with pytest.raises(WebhookVerificationError):
        first.verified("whsec_" + "A" * 43 + "=")


def test_only_the_kinds_and_the_workspace_that_were_asked_for(home: Home, receiver: Receiver) -> None:
    home.hook(receiver.url, kinds=["prompt"])
    home.http.post("/apis/models/v2/workspaces/default/prompts", json={"name": f"of-{home.workspace}"})
    home.model("m")
    home.http.post(home.prompts, json={"name": "p"})

    receiver.wait_for(1)

    assert names(receiver) == ["p"]


def test_many_changes_come_in_order_and_once(home: Home, receiver: Receiver) -> None:
    home.hook(receiver.url)
    for number in range(60):
        home.model(f"m{number}")

    receiver.wait_for(60)

    assert names(receiver) == [f"m{number}" for number in range(60)]
    until(lambda: home.get(part="/status")["behind"] == 0)
    assert len(receiver.messages) == 60


def test_a_failure_is_tried_again_before_anything_later(home: Home, receiver: Receiver) -> None:
    receiver.answers = [Answer(500, body=b"canary-of-the-receiver"), Answer(302, {"location": "/elsewhere"})]
    home.hook(receiver.url)
    home.model("a")
    home.model("b")

    messages = receiver.wait_for(4)

    assert names(receiver) == ["a", "b"]
    assert messages[0].id == messages[1].id == messages[2].id != messages[3].id
    assert {message.path for message in messages} == {"/hook"}
    until(lambda: len(home.get(part="/deliveries")["data"]) == 2)
    until(lambda: home.get(part="/deliveries")["data"][0]["outcome"] == "delivered")
    latest, first = home.get(part="/deliveries")["data"]
    assert (first["outcome"], first["attempts"], first["status"], first["error"]) == ("delivered", 3, 204, None)
    assert (latest["outcome"], latest["attempts"]) == ("delivered", 1)
    assert home.get(part="/status")["consecutive_failures"] == 0
    assert "canary-of-the-receiver" not in home.server.log


def test_how_a_failing_webhook_fares_is_told(home: Home, receiver: Receiver) -> None:
    receiver.answers = [Answer(503, {"retry-after": "3600"}, body=b"no")]
    home.hook(receiver.url)
    home.model("a")

    until(lambda: home.get(part="/status")["health"] == "failing")

    status = home.get(part="/status")
    (delivery,) = home.get(part="/deliveries")["data"]
    assert (status["last_status"], status["last_error"]) == (503, "the receiver answered 503")
    assert (delivery["outcome"], delivery["attempts"], delivery["trigger"]) == ("retrying", 1, "feed")
    assert delivery["next_attempt_at"] == status["next_attempt_at"]
    assert home.get()["revision"] == 1
    receiver.wait_for(2)


def test_a_receiver_that_hangs_holds_up_nobody_else(home: Home, receiver: Receiver) -> None:
    with receiving() as slow:
        slow.always = Answer(hangs=60)
        home.hook(slow.url, "slow")
        home.hook(receiver.url, "quick", kinds=["model"])
        for number in range(5):
            home.model(f"m{number}")
        receiver.wait_for(5)
        until(lambda: home.get("slow", "/status")["consecutive_failures"] > 0)
        assert home.get("slow", "/status")["last_error"] == "no answer in time"
        assert names(receiver) == [f"m{number}" for number in range(5)]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_nothing_is_lost_while_the_server_is_away(data_dir: Path, receiver: Receiver, end: str) -> None:
    receiver.always = Answer(500)
    with at_home(data_dir, "--set", "webhooks.disable_after_hours=24") as home:
        home.hook(receiver.url)
        for number in range(3):
            home.model(f"m{number}")
        receiver.wait_for(1)
        getattr(home.server, end)()
    receiver.always = None
    with at_home(data_dir) as home:
        home.model("m3")
        until(lambda: names(receiver) == ["m0", "m1", "m2", "m3"])
        until(lambda: home.get(part="/status")["behind"] == 0)


def test_a_new_secret_signs_beside_the_old_one_for_a_while(home: Home, receiver: Receiver) -> None:
    old = home.hook(receiver.url, kinds=["model"])["signing"]["secret"]
    rotated = home.http.post(f"{home.webhooks}/w:rotate-secret").json()["signing"]["secret"]
    home.model("m")

    (message,) = receiver.wait_for(1)

    assert old != rotated
    assert message.verified(old) == message.verified(rotated)
    assert len(message.headers["webhook-signature"].split()) == 2


def test_only_the_new_secret_signs_where_there_is_no_while(data_dir: Path, receiver: Receiver) -> None:
    with at_home(data_dir, "--set", "webhooks.rotation_hours=0") as home:
        old = home.hook(receiver.url, kinds=["model"])["signing"]["secret"]
        rotated = home.http.post(f"{home.webhooks}/w:rotate-secret").json()["signing"]["secret"]
        home.model("m")
        (message,) = receiver.wait_for(1)
    message.verified(rotated)
    with pytest.raises(WebhookVerificationError):
        message.verified(old)


def test_a_webhook_that_has_been_deleted_or_brought_back(home: Home, receiver: Receiver) -> None:
    home.hook(receiver.url, kinds=["model"])
    home.model("a")
    receiver.wait_for(1)
    until(lambda: home.get(part="/status")["behind"] == 0)
    assert home.http.delete(f"{home.webhooks}/w").status_code == 204
    home.model("unheard")
    assert home.http.post(f"{home.webhooks}/w:undelete").status_code == 200
    home.model("b")

    until(lambda: names(receiver)[-1] == "b")

    assert names(receiver) == ["a", "b"]


def test_a_purged_change_is_passed_over(home: Home, receiver: Receiver) -> None:
    receiver.answers = [Answer(500)]
    home.hook(receiver.url, kinds=["model"])
    home.model("a")
    home.model("purged")
    receiver.wait_for(1)
    assert home.http.delete(f"{home.models}/purged", params={"purge": "true"}).status_code == 204
    home.model("b")

    until(lambda: names(receiver)[-1:] == ["b"])

    events: list[Any] = [message.body for message in receiver.messages]
    assert not any(b'"model.create"' in body and b'"name":"purged"' in body for body in events)
