"""Keys that have been found right are remembered, for as long as they are right."""

from typing import Any

import pytest

from steelyard.auth.directory import Directory
from steelyard.auth.keys import NewKey, make_key
from steelyard.errors import Unauthorized
from steelyard.records.access import Access, Binding, Narrowing
from steelyard.records.keys import ApiKey

NOW, LATER = "2026-03-01T00:00:00.000000Z", "2026-03-02T00:00:00.000000Z"
HERE, ELSEWHERE = "10.0.0.7", "192.168.0.7"


def key_of(made: NewKey, **more: Any) -> ApiKey:
    key = ApiKey(made.id, "ann", made.id, made.digest, NOW, None, None, None, None, Narrowing())
    return key._replace(**more)


def binding(role: str, workspace: str = "default", principal: str = "ann") -> Binding:
    return Binding(f"{role}-{workspace}-{principal}", principal, workspace, role, None, NOW)


def directory_of(key: ApiKey, *bindings: Binding) -> Directory:
    directory = Directory()
    directory.put_keys([key])
    directory.put_bindings(bindings or [binding("Editor")])
    return directory


def test_a_key_is_known_once_it_has_been_found_right() -> None:
    made = make_key()
    directory = directory_of(key_of(made))
    assert directory.known(made.text.encode(), HERE, lambda: NOW) is None
    found = directory.by_key(made.text, HERE, NOW)
    assert directory.known(made.text.encode(), HERE, lambda: NOW) is found


@pytest.mark.parametrize("change", [lambda text: text[:-1] + "~", lambda text: text + "a", lambda text: text[:-1]])
def test_another_text_of_a_known_key_is_not_known(change: object) -> None:
    made = make_key()
    directory = directory_of(key_of(made))
    directory.by_key(made.text, HERE, NOW)
    wrong = change(made.text)  # type: ignore[operator]
    assert directory.known(wrong.encode(), HERE, lambda: NOW) is None
    with pytest.raises(Unauthorized):
        directory.by_key(wrong, HERE, NOW)


def test_a_known_key_is_forgotten_when_it_is_revoked() -> None:
    made = make_key()
    key = key_of(made)
    directory = directory_of(key)
    directory.by_key(made.text, HERE, NOW)
    directory.put_keys([key._replace(revoked_at=NOW)])
    assert directory.known(made.text.encode(), HERE, lambda: NOW) is None
    with pytest.raises(Unauthorized):
        directory.by_key(made.text, HERE, NOW)


def test_a_known_key_ends_when_its_time_is_over() -> None:
    made = make_key()
    directory = directory_of(key_of(made, expires_at=LATER))
    directory.by_key(made.text, HERE, NOW)
    assert directory.known(made.text.encode(), HERE, lambda: NOW) is not None
    assert directory.known(made.text.encode(), HERE, lambda: LATER) is None


def test_a_known_key_is_held_to_its_networks_each_time() -> None:
    made = make_key()
    directory = directory_of(key_of(made, networks=("10.0.0.0/8",)))
    directory.by_key(made.text, HERE, NOW)
    assert directory.known(made.text.encode(), HERE, lambda: NOW) is not None
    assert directory.known(made.text.encode(), ELSEWHERE, lambda: NOW) is None
    assert directory.known(made.text.encode(), None, lambda: NOW) is None


def test_what_a_known_key_may_follows_its_bindings() -> None:
    made = make_key()
    directory = directory_of(key_of(made))
    assert directory.by_key(made.text, HERE, NOW).access.may("models.update", "default")
    directory.put_bindings([binding("Viewer")])
    assert directory.known(made.text.encode(), HERE, lambda: NOW) is None
    assert not directory.by_key(made.text, HERE, NOW).access.may("models.update", "default")


def access(directory: Directory, key: ApiKey, made: NewKey) -> Access:
    directory.put_keys([key])
    return directory.by_key(made.text, HERE, NOW).access


def test_keys_share_what_they_may_only_where_all_of_it_is_the_same() -> None:
    first, second, third, fourth = (make_key() for _ in range(4))
    directory = directory_of(key_of(first), binding("Editor"), binding("Editor", principal="ben"))
    one = directory.by_key(first.text, HERE, NOW).access
    assert access(directory, key_of(second, owner="ben"), second) is one
    assert access(directory, key_of(third, narrowing=Narrowing(models=("default/a",))), third) is not one
    assert access(directory, key_of(fourth, narrowing=Narrowing(scopes=("models:read",))), fourth) is not one


def test_the_audit_is_told_by_which_binding_something_is_allowed() -> None:
    made = make_key()
    directory = directory_of(
        key_of(made), binding("Viewer"), binding("Editor"), binding("PlatformAdmin", "system"), binding("Viewer", "w")
    )
    found = directory.by_key(made.text, HERE, NOW).access
    assert found.rule("models.update", "default") == "Editor@default"
    assert found.rule("models.read", "w") == "Viewer@w"
    assert found.rule("models.update", "w") == "PlatformAdmin@system"
    assert found.rule("models.update", None) == "PlatformAdmin@system"
    assert found.rule("no.such", "w") is None
