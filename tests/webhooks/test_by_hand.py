"""Disabling, and what people do by hand: pings, redeliveries, and taking a webhook into service again."""

from typing import Any

import pytest

from tests.webhooks.conftest import Home
from tests.webhooks.receivers import Answer, Receiver, until


def _disabled(home: Home) -> None:
    until(lambda: home.get()["enabled"] is False)


def _last_change(home: Home) -> dict[str, Any]:
    change: dict[str, Any] = home.get(part="/revisions")["data"][0]
    return change


def test_failing_for_long_disables_with_a_reason_in_the_history(home: Home, receiver: Receiver) -> None:
    receiver.always = Answer(500)
    home.hook(receiver.url)
    home.model("m")

    _disabled(home)

    change = _last_change(home)
    assert (change["action"], change["actor"], change["changed"]) == ("update", "steelyard", ["enabled"])
    assert change["reason"].startswith("disabled: 3 attempts in a row failed since ")
    assert change["reason"].endswith("the last: the receiver answered 500")
    status = home.get(part="/status")
    assert (status["health"], status["consecutive_failures"]) == ("disabled", 3)
    assert status["next_attempt_at"] is None
    assert status["disabled_reason"] in change["reason"]
    (delivery,) = home.get(part="/deliveries")["data"]
    assert (delivery["outcome"], delivery["attempts"]) == ("failed", 3)


def test_410_disables_at_once(home: Home, receiver: Receiver) -> None:
    receiver.always = Answer(410)
    home.hook(receiver.url)
    home.model("m")

    _disabled(home)

    assert _last_change(home)["reason"] == "disabled: the receiver answered 410 Gone"
    assert len(receiver.messages) == 1


def test_a_webhook_that_is_enabled_again_goes_on_where_it_stopped(home: Home, receiver: Receiver) -> None:
    receiver.answers = [Answer(410)]
    home.hook(receiver.url, kinds=["model"])
    home.model("a")
    _disabled(home)
    home.model("b")
    assert home.http.patch(f"{home.webhooks}/w", json={"enabled": True}).status_code == 200
    home.model("c")

    messages = receiver.wait_for(4)

    assert messages[0].id == messages[1].id
    until(lambda: home.get(part="/status")["health"] == "ok")
    until(lambda: home.get(part="/deliveries")["total_results"] == 3)
    assert [one["outcome"] for one in home.get(part="/deliveries")["data"]] == ["delivered"] * 3
    assert home.get(part="/status")["disabled_reason"] is None


def test_another_address_is_tried_at_once(home: Home, receiver: Receiver) -> None:
    receiver.answers = [Answer(429, {"retry-after": "3000"})]
    home.hook(receiver.url)
    home.model("m")
    until(lambda: home.get(part="/status")["consecutive_failures"] == 1)

    home.http.patch(f"{home.webhooks}/w", json={"url": receiver.url.replace("/hook", "/new")})

    assert [message.path for message in receiver.wait_for(2)[:2]] == ["/hook", "/new"]


def test_a_ping_is_sent_once_and_also_where_nothing_else_is(home: Home, receiver: Receiver) -> None:
    secret = home.hook(receiver.url, enabled=False)["signing"]["secret"]
    home.model("unheard")

    answer = home.http.post(f"{home.webhooks}/w:ping")

    assert (answer.status_code, answer.json()["outcome"], answer.json()["event"]) == (202, "waiting", "webhook.ping")
    (message,) = receiver.wait_for(1)
    payload = message.verified(secret)
    assert payload["type"] == "webhook.ping"
    assert payload["data"] == {"workspace": home.workspace, "webhook": "w"}
    assert message.id == answer.json()["message_id"]
    until(lambda: home.get(part="/deliveries")["data"][0]["outcome"] == "delivered")
    assert home.get()["revision"] == 1


def test_a_ping_that_fails_is_not_tried_again(home: Home, receiver: Receiver) -> None:
    receiver.answers = [Answer(500)]
    home.hook(receiver.url)
    home.http.post(f"{home.webhooks}/w:ping")
    until(lambda: home.get(part="/deliveries")["data"][0]["outcome"] == "failed")
    assert home.get(part="/status")["consecutive_failures"] == 0
    assert len(receiver.messages) == 1


def test_a_change_can_be_sent_again_with_the_id_that_it_had(home: Home, receiver: Receiver) -> None:
    secret = home.hook(receiver.url)["signing"]["secret"]
    home.model("m")
    (first,) = receiver.wait_for(1)
    cursor = first.verified(secret)["data"]["cursor"]

    answer = home.http.post(f"{home.webhooks}/w:redeliver", json={"cursor": cursor})

    assert (answer.status_code, answer.json()["trigger"], answer.json()["cursor"]) == (202, "redelivery", cursor)
    again = receiver.wait_for(2)[1]
    assert (again.id, again.body) == (first.id, first.body)
    again.verified(secret)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"cursor": "999999999"}, 404),
        ({"cursor": "1"}, 404),
        ({"cursor": "0"}, 404),
        ({"cursor": "x"}, 422),
        ({"cursor": ""}, 422),
        ({"cursor": "1\n"}, 422),
        ({"cursor": 1}, 422),
        ({}, 422),
        ([], 422),
    ],
)
def test_a_change_that_cannot_be_sent_again(home: Home, body: Any, status: int) -> None:
    home.hook("https://hooks.example")
    assert home.http.post(f"{home.webhooks}/w:redeliver", json=body).status_code == status


def test_deliveries_come_page_by_page(home: Home, receiver: Receiver) -> None:
    home.hook(receiver.url)
    for number in range(5):
        home.model(f"m{number}")
    until(lambda: home.get(part="/status")["behind"] == 0)

    pages, cursor = [], ""
    while True:
        page = home.get(part=f"/deliveries?page_size=2{cursor}")
        pages.append(page["data"])
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert list(map(len, pages)) == [2, 2, 1]
    cursors = [int(one["cursor"]) for page in pages for one in page]
    assert cursors == sorted(cursors, reverse=True)
    assert page["total_results"] == 5
    assert home.http.get(f"{home.webhooks}/w/deliveries?cursor=x").status_code == 422
