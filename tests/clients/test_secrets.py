"""The SDK keeps secrets: a value goes in, and what comes out says that it is there."""

import pytest
from nemo_platform import (  # type: ignore[import-not-found,unused-ignore]
    ConflictError,
    NeMoPlatform,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableEntityError,
)

from tests.servers import Server

VALUE = "hf_5ecret"


def test_a_secret_is_made_changed_listed_and_deleted(sdk: NeMoPlatform) -> None:
    created = sdk.secrets.create(name="hub", value=VALUE, description="For the Hub")
    updated = sdk.secrets.update("hub", description="Of the team")

    assert (created.name, created.workspace, created.description) == ("hub", sdk.workspace, "For the Hub")
    assert (updated.description, updated.created_at) == ("Of the team", created.created_at)
    assert sdk.secrets.update("hub", description=None, value=None) == updated
    assert sdk.secrets.retrieve("hub") == updated
    assert list(sdk.secrets.list()) == [updated]
    assert sdk.secrets.delete("hub") is None
    with pytest.raises(NotFoundError):
        sdk.secrets.retrieve("hub")


def test_a_value_is_in_no_answer_and_not_in_the_log(sdk: NeMoPlatform, server: Server) -> None:
    answers = [
        sdk.secrets.create(name="hub", value=VALUE),
        sdk.secrets.update("hub", value=f"{VALUE}-2"),
        sdk.secrets.retrieve("hub"),
        *sdk.secrets.list(),
    ]

    assert [VALUE in answer.to_json() for answer in answers] == [False] * 4
    assert VALUE not in server.log


def test_a_refusal_does_not_repeat_the_value(sdk: NeMoPlatform) -> None:
    sdk.secrets.create(name="hub", value=VALUE)

    with pytest.raises(ConflictError) as taken:
        sdk.secrets.create(name="hub", value=VALUE)
    with pytest.raises(UnprocessableEntityError) as invalid:
        sdk.secrets.create(name="hub 2", value=VALUE)
    with pytest.raises(UnprocessableEntityError) as empty:
        sdk.secrets.update("hub", value="")

    assert not any(VALUE in str(raised.value) for raised in (taken, invalid, empty))


def test_nobody_reads_a_value_unless_the_setting_allows_it(sdk: NeMoPlatform) -> None:
    sdk.secrets.create(name="hub", value=VALUE)

    with pytest.raises(PermissionDeniedError, match=r"secrets\.access"):
        sdk.secrets.access("hub")


def test_lists_walk_all_pages(sdk: NeMoPlatform) -> None:
    for name in ("a", "b", "c"):
        sdk.secrets.create(name=name, value=VALUE)

    assert sorted(secret.name for secret in sdk.secrets.list(page_size=2)) == ["a", "b", "c"]


def test_the_keys_of_all_secrets_are_made_anew(sdk: NeMoPlatform) -> None:
    sdk.secrets.create(name="hub", value=VALUE)

    rotated = sdk.secrets.admin.rotate_encryption_keys()

    assert rotated.success is True
    assert rotated.rotated_secrets >= 1
