"""Credentials that are forged, cut, old, somebody else's, or narrower than what is asked."""

import time
from typing import Any

import httpx
import pytest

from tests.access.worlds import BINDINGS, KEYS, WORKSPACES, World, world

ME = "/apis/auth/v2/me"
MODELS = "/apis/models/v2/workspaces/{}/models"
WEBHOOKS = "/apis/steelyard/v1/workspaces/{}/webhooks"


def me(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.get(ME, headers=headers)


def _subject(client: httpx.Client) -> str:
    return str(me(client).json()["subject"])


@pytest.fixture
def nobody(target: World) -> httpx.Client:
    return target.client(None)


def test_keys_that_are_not_ours(target: World, nobody: httpx.Client) -> None:
    key = target.key()
    prefix, id, secret = key.split("_")
    other = target.key().split("_")
    forged = [
        key[:-1],
        key + "a",
        key[:-1] + ("a" if key[-1] != "a" else "b"),
        f"{prefix}_{id}_{other[2]}",
        f"{prefix}_{other[1]}_{secret}",
        f"{prefix}_{'0' * 12}_{secret}",
        f"{prefix}_{id}_",
        f"{prefix}_{id}",
        f"{prefix}__{secret}",
        f"{prefix}_{id}_{'0' * 40}",
        f"{prefix}_{id.lower()}_{secret}",
        f"{prefix}_{id}_{secret.upper()}",
        f"{key} x",
        f"{key},{key}",
        key.encode().hex(),
        "sy_%_%",
        "' OR 1=1 --",
        "null",
        "Bearer",
        "a.b.c",
        "é" * 20,
        "x" * 20_000,
    ]
    assert me(nobody, Authorization=f"Bearer {key}").json()["subject"] == "admin"
    texts = set()
    for one in forged:
        answer = nobody.get(ME, headers={b"Authorization": f"Bearer {one}".encode("latin-1")})
        assert answer.status_code == 401, one
        assert secret not in answer.text
        texts.add(answer.text)
    # A right id and a wrong one, a right secret and a wrong one, are told apart by nothing.
    assert len({nobody.get(ME, headers={"Authorization": f"Bearer {one}"}).text for one in forged[2:6]}) == 1


def test_other_ways_to_send_a_key(target: World, nobody: httpx.Client) -> None:
    key = target.key()
    assert me(nobody, **{"x-api-key": key}).status_code == 200
    assert me(nobody, Authorization=f"bearer  {key}").status_code == 200
    for headers in (
        {"Authorization": f"Basic {key}"},
        {"Authorization": key},
        {"Authorization": f"Token {key}"},
        {"Cookie": f"Authorization={key}"},
        {"X-Steelyard-Key": key},
        {"Proxy-Authorization": f"Bearer {key}"},
    ):
        assert me(nobody, **headers).status_code == 401
    for query in ("api_key", "access_token", "key", "token"):
        assert nobody.get(ME, params={query: key}).status_code == 401
    # The one that is sent as a key must be right: the other is not tried instead.
    assert me(nobody, Authorization="Bearer wrong", **{"x-api-key": key}).status_code == 401


def test_keys_that_are_over(target: World, nobody: httpx.Client) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    expiring, revoked = target.key(expires_at=soon), target.key()
    client = target.client(expiring)
    assert me(client).status_code == 200
    id = revoked.split("_")[1]
    assert target.root.delete(f"{KEYS}/{id}").status_code == 200
    assert me(target.client(revoked)).status_code == 401
    time.sleep(2.5)
    assert me(client).status_code == 401
    assert target.root.post(KEYS, json={"name": "past", "expires_at": "2020-01-01T00:00:00Z"}).status_code == 422


def test_a_key_that_ends_takes_those_that_it_has_made_with_it(target: World) -> None:
    first = target.key()
    child = target.client(first).post(KEYS, json={"name": "child"}).json()["key"]
    grandchild = target.client(child).post(KEYS, json={"name": "grandchild"}).json()["key"]
    assert target.root.delete(f"{KEYS}/{first.split('_')[1]}").status_code == 200
    assert me(target.client(child)).status_code == me(target.client(grandchild)).status_code == 401


def test_a_key_for_other_networks(target: World) -> None:
    assert me(target.client(target.key(networks=["192.0.2.0/24"]))).status_code == 401
    assert me(target.client(target.key(networks=["127.0.0.0/8"]))).status_code == 200
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"):
        client = target.client(target.key(networks=["192.0.2.0/24"]))
        value = "for=192.0.2.1" if header == "Forwarded" else "192.0.2.1"
        assert me(client, **{header: value}).status_code == 401


def test_a_narrowed_key_makes_no_wider_one(target: World) -> None:
    space = target.workspace()
    narrowings: list[dict[str, Any]] = [
        {"scopes": ["auth:*", "models:read"]},
        {"workspaces": [space]},
        {"models": [f"{space}/m"]},
        {"networks": ["127.0.0.0/8"]},
        {"expires_at": "2999-01-01T00:00:00Z"},
    ]
    for narrowing in narrowings:
        client = target.client(target.key(None, **narrowing))
        for wider in (
            {},
            {"scopes": ["platform:*"]},
            {"scopes": ["models:write"]},
            {"workspaces": [space, "default"]} if "workspaces" in narrowing else {},
            {"models": [f"{space}/m", f"{space}/n"]} if "models" in narrowing else {},
            {"networks": ["0.0.0.0/0"]} if "networks" in narrowing else {},
            {"expires_at": "2999-01-01T00:00:01Z"} if "expires_at" in narrowing else {},
        ):
            answer = client.post(KEYS, json={"name": target.name("wider"), **wider})
            assert answer.status_code in {403, 422}, (narrowing, wider, answer.text)
        answer = client.post(KEYS, json={"name": target.name("as-narrow"), **narrowing})
        assert answer.status_code == 201, answer.text
        made = target.client(answer.json()["key"])
        assert me(made).json()["everywhere"] == me(client).json()["everywhere"]
        assert me(made).json()["workspaces"] == me(client).json()["workspaces"]


def test_nobody_makes_keys_for_others(target: World) -> None:
    somebody, other = target.somebody(("Admin", target.workspace())), target.somebody()
    for owner in ("admin", _subject(other), "system", "group:admins", "*"):
        answer = somebody.post(KEYS, json={"name": "theirs", "owner": owner})
        assert answer.status_code in {403, 422}, answer.text
    narrow = target.client(target.key(scopes=["auth:*"]))
    assert narrow.post(KEYS, json={"name": "x", "owner": _subject(somebody), "scopes": ["auth:*"]}).status_code == 403


def test_a_narrowed_key_gives_nobody_what_it_does_not_have(target: World) -> None:
    space = target.workspace()
    members = f"{WORKSPACES}/{space}/members"
    narrowings: tuple[dict[str, Any], ...] = (
        {"scopes": ["auth:*", "entities:*"]},
        {"models": [f"{space}/m"]},
        {"scopes": ["platform:read", "auth:*"]},
    )
    for narrowing in narrowings:
        client = target.client(target.key(**narrowing))
        for role, where in (("Admin", space), ("Editor", space), ("PlatformAdmin", "system"), ("Service", space)):
            body = {"principal": target.name("accomplice"), "role": role, "workspace": where}
            assert client.post(BINDINGS, json=body).status_code == 403, (narrowing, role)
        answer = client.post(members, json={"principal": target.name("accomplice"), "roles": ["Editor"]})
        assert answer.status_code == 403, (narrowing, answer.text)
    bounded = target.client(target.key(workspaces=[space]))
    for role, where in (("PlatformAdmin", "system"), ("Admin", "default"), ("WorkspaceCreator", "system")):
        body = {"principal": "accomplice", "role": role, "workspace": where}
        assert bounded.post(BINDINGS, json=body).status_code == 403
    body = {"principal": target.name("colleague"), "role": "Admin", "workspace": space}
    assert bounded.post(BINDINGS, json=body).status_code == 200


def test_an_admin_of_a_workspace_is_that_and_no_more(target: World) -> None:
    space = target.workspace()
    admin = target.somebody(("Admin", space))
    for role, where in (
        *(("PlatformAdmin", "system"), ("WorkspaceCreator", "system"), ("Admin", "system"), ("Viewer", "default")),
        *(("PlatformAdmin", space), ("Service", space)),
    ):
        body = {"principal": _subject(admin), "role": role, "workspace": where}
        assert admin.post(BINDINGS, json=body).status_code in {403, 422}, (role, where)
    assert admin.post(f"{WORKSPACES}/system/members", json={"principal": "x", "roles": ["Admin"]}).status_code == 403
    assert admin.post(WORKSPACES, json={"name": "of-mine"}).status_code == 403
    editor = target.somebody(("Editor", space))
    for path in (f"{WORKSPACES}/{space}/members/{_subject(editor)}", f"{WORKSPACES}/{space}/members/{_subject(admin)}"):
        assert editor.put(path, json={"roles": ["Admin"]}).status_code == 403


def test_the_last_administrators_stay(target: World) -> None:
    space = target.workspace()
    members = f"{WORKSPACES}/{space}/members"
    assert target.root.delete(f"{members}/admin").status_code == 409
    assert target.root.put(f"{members}/admin", json={"roles": ["Viewer"]}).status_code == 409
    bindings = target.root.get(BINDINGS, params={"filter[role]": "PlatformAdmin", "page_size": 1000}).json()["data"]
    active = [one for one in bindings if one["revoked_at"] is None]
    if len(active) == 1:
        assert target.root.delete(f"{BINDINGS}/{active[0]['id']}").status_code == 409


@pytest.mark.parametrize(
    "headers",
    [
        {"X-NMP-Principal-Id": "admin", "X-NMP-Principal-Email": "a@b", "X-NMP-Principal-Groups": "admins"},
        {"X-Steelyard-Subject": "admin"},
        {"X-Steelyard-Subject": "admin", "X-Steelyard-Proxy-Secret": ""},
        {"X-Steelyard-Subject": "admin", "X-Steelyard-Proxy-Secret": "guess"},
        {"X-Forwarded-User": "admin", "X-Remote-User": "admin", "Remote-User": "admin", "X-Forwarded-Email": "a@b"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost", "Forwarded": "for=127.0.0.1;host=localhost"},
        {"X-Original-URL": "/health/live", "X-Rewrite-URL": "/health/live", "X-HTTP-Method-Override": "GET"},
    ],
)
def test_headers_say_nothing_of_who_is_asking(target: World, nobody: httpx.Client, headers: dict[str, str]) -> None:
    assert me(nobody, **headers).status_code == 401
    viewer = target.somebody(("Viewer", "default"))
    assert me(viewer, **headers).json()["subject"] == _subject(viewer)
    assert viewer.post(MODELS.format("default"), json={"name": "x"}, headers=headers).status_code == 403


def test_a_method_in_a_header_takes_the_permission_of_the_method(target: World) -> None:
    viewer = target.somebody(("Viewer", "default"))
    target.root.post("/apis/files/v2/workspaces/default/filesets", json={"name": "override"})
    path = "/apis/files/v2/workspaces/default/filesets/override/uploads/x"
    for method in ("PATCH", "DELETE", "HEAD"):
        assert viewer.post(path, headers={"X-HTTP-Method-Override": method}).status_code == 403


def test_paths_that_are_written_otherwise_are_not_let_through(target: World, nobody: httpx.Client) -> None:
    item = MODELS.format("default")
    for path in (
        f"/{item}",
        f"{item}/",
        f"{item}//x",
        item.replace("/models/v2", "/models//v2"),
        item.replace("workspaces", "%77orkspaces"),
        item.replace("/apis", "/./apis"),
        f"/health/live/../..{item}",
        f"/health/live/%2e%2e/%2e%2e{item}",
        f"/apis/auth/discovery/..;{item}",
        f"{item};/health/live",
        f"{item}?x=/health/live",
        f"{item}#/health/live",
    ):
        for client in (nobody,):
            answer = client.get(path)
            assert answer.status_code in {307, 401, 404}, (path, answer.status_code, answer.text)
            assert '"data"' not in answer.text
    somebody = target.somebody(("Viewer", target.workspace()))
    for path in (item.replace("default", "%64efault"), item.replace("/default/", "/x%2F..%2Fdefault/"), f"{item}/"):
        answer = somebody.get(path)
        assert answer.status_code in {307, 403, 404}, (path, answer.text)


def test_failed_sign_ins_are_slowed_down_and_nobody_else_is(tmp_path: Any) -> None:
    with world(tmp_path, "auth.attempts_per_minute=5") as made:
        key = made.key()
        id = key.split("_")[1]
        nobody = made.client(None)
        wrong = [nobody.get(ME, headers={"Authorization": f"Bearer sy_{id}_{'0' * 40}"}) for _ in range(8)]
        assert [one.status_code for one in wrong] == [401] * 5 + [429] * 3
        assert 1 <= int(wrong[-1].headers["retry-after"]) <= 60
        assert wrong[-1].headers["x-should-retry"] == "false"
        # From the same address: other ids and tokens wait, too.
        for guess in (f"sy_{'1' * 12}_{'0' * 40}", "a.b.c"):
            assert nobody.get(ME, headers={"Authorization": f"Bearer {guess}"}).status_code == 429
        # Who has the right key, of that id or another, is let in: nobody is locked out by somebody else's guesses.
        assert me(made.client(key)).status_code == 200
        assert me(made.root).status_code == 200
        # Nor does the audit grow by what is answered 429.
        time.sleep(0.6)
        found = made.root.get("/apis/steelyard/v1/audit", params={"outcome": "refused"}).json()["data"]
        assert len(found) == 5


def test_what_is_not_there_and_what_is_not_seen_take_as_long(target: World) -> None:
    """Both are refused before anything is looked up. The bound is wide: the machine is busy with other things."""
    space = target.workspace()
    target.root.post(MODELS.format(space), json={"name": "m"})
    stranger = target.somebody(("Viewer", "default"))
    times: dict[str, list[float]] = {"there": [], "missing": []}
    for _ in range(60):
        for name, path in (("there", f"{MODELS.format(space)}/m"), ("missing", f"{MODELS.format('never')}/m")):
            started = time.perf_counter()
            assert stranger.get(path).status_code == 403
            times[name].append(time.perf_counter() - started)
    there, missing = (sorted(times[name])[len(times[name]) // 2] for name in ("there", "missing"))
    assert abs(there - missing) < 0.5 * max(there, missing)


def test_roles_are_in_force_at_once_both_ways(target: World) -> None:
    space = target.workspace()
    somebody = target.somebody()
    assert somebody.get(MODELS.format(space)).status_code == 403
    for _ in range(10):
        binding = target.bind(_subject(somebody), "Viewer", space)
        assert somebody.get(MODELS.format(space)).status_code == 200
        assert target.root.delete(f"{BINDINGS}/{binding}").status_code == 200
        assert somebody.get(MODELS.format(space)).status_code == 403


def test_a_stream_ends_with_the_key_and_tells_no_more_than_the_roles_of_now(target: World) -> None:
    space = target.workspace()
    somebody = target.somebody()
    binding = target.bind(_subject(somebody), "Viewer", space)
    events, heard = {"workspace": space}, ""
    key = me(somebody).json()["key"]
    with somebody.stream(
        "GET", "/apis/steelyard/v1/events", params=events, headers={"Accept": "text/event-stream"}, timeout=20
    ) as stream:
        lines = stream.iter_lines()
        target.root.post(MODELS.format(space), json={"name": "before"})
        for line in lines:
            heard += line
            if "before" in line:
                break
        target.root.delete(f"{BINDINGS}/{binding}")
        target.root.post(MODELS.format(space), json={"name": "after"})
        time.sleep(0.3)
        target.root.delete(f"{KEYS}/{key}")
        target.root.post(MODELS.format(space), json={"name": "at-last"})
        heard += "".join(lines)
    assert "after" not in heard
    assert "at-last" not in heard


def test_a_workspace_that_is_deleted_leaves_no_roles(target: World) -> None:
    space = target.workspace()
    admin = target.somebody(("Admin", space))
    assert admin.delete(f"{WORKSPACES}/{space}").status_code == 200
    assert me(admin).json()["workspaces"] == {}
    target.workspace(space)
    assert admin.get(MODELS.format(space)).status_code == 403
