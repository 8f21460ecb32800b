"""When a delivery is tried again, when a webhook is given up, and what a signature is: pure functions."""

import base64
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from steelyard.records.deliveries import DeliveryRules, WebhookState, seconds_between, unix_seconds
from steelyard.records.signatures import read_secret, signed_headers, write_secret

RULES = DeliveryRules()


def test_the_wait_doubles_up_to_the_most() -> None:
    waits = [RULES.wait(failures, 0) for failures in range(1, 14)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]


@given(st.integers(1, 10**6), st.floats(0, 1), st.none() | st.floats(0, 10**9))
def test_a_wait_is_never_too_long_nor_nothing(failures: int, draw: float, asked: float | None) -> None:
    wait = RULES.wait(failures, draw, asked)
    assert 2.5 <= wait <= 3600
    assert wait >= min(asked or 0, 3600)


@pytest.mark.parametrize(
    ("failures", "seconds", "over"),
    [(19, 10**9, False), (20, 24 * 3600 - 1, False), (20, 24 * 3600, True), (10**6, 60, False)],
)
def test_giving_up_takes_many_failures_and_a_long_time(failures: int, seconds: float, over: bool) -> None:
    assert RULES.is_over(failures, seconds) is over


def test_the_tries_of_a_day_are_enough_to_give_up() -> None:
    assert sum(RULES.wait(failures, 0) for failures in range(1, 20)) < RULES.disable_after


def test_afresh_keeps_what_was() -> None:
    state = WebhookState("w", 7, 3, "a", "b", "c", "d", 500, "e", "f")
    assert state.afresh() == WebhookState("w", 7, 0, None, None, "c", "d", 500, "e", None)


def test_times() -> None:
    assert seconds_between("2026-01-01T00:00:00.000000Z", "2026-01-01T00:01:00.500000Z") == 60.5
    assert unix_seconds("1970-01-01T00:00:01.900000Z") == 1


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=200))
def test_the_official_library_agrees(key: bytes, noise: bytes) -> None:
    secret, other = write_secret(key), write_secret(bytes(32))
    body = json.dumps({"noise": noise.hex()}).encode()
    now = int(datetime.now(UTC).timestamp())
    for secrets in ([secret], [other, secret], [secret, other]):
        assert Webhook(secret).verify(body, dict(signed_headers("m-1", now, body, secrets))) == json.loads(body)


def test_a_signature_is_what_the_specification_says() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = dict(signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret]))
    content = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    expected = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}" == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_!!!!",
        "secret",
        "Whsec_" + "A" * 44,
        write_secret(b"x" * 23),
        write_secret(b"x" * 65),
        write_secret(bytes(32)) + "\n",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="a signing secret"):
        read_secret(text)
