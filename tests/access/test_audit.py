"""The audit: whatever is written has its entry, whoever is refused has one, nothing can be taken out unseen, and there
is no secret in it.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.access.requests import TICKETED, operations
from tests.access.worlds import BINDINGS, KEYS, World, world

AUDIT = "/apis/steelyard/v1/audit"
MODELS, FILESETS = "/apis/models/v2/workspaces/{}/models", "/apis/files/v2/workspaces/{}/filesets"
SECRETS, PROVIDERS = "/apis/secrets/v2/workspaces/{}/secrets", "/apis/models/v2/workspaces/{}/providers"
WEBHOOKS, LIMITS = "/apis/steelyard/v1/workspaces/{}/webhooks", "/apis/steelyard/v1/workspaces/{}/limits"
ENTITIES, GATEWAY = "/apis/entities/v2/workspaces", "/apis/inference-gateway/v2/workspaces/{}"
STEELYARD = "/apis/steelyard/v1"
SECRET = "canary-of-the-audit"
# What changes nothing that is kept: requests for inference (which leave usage), questions asked by POST, and bytes on
# their way, which are in the audit when they become a file.
NO_WRITES = {
    *("chat_completions", "responses", "messages", "completions", "embeddings"),
    *(f"{one}_proxy{way}" for one in ("openai", "model", "provider") for way in ("", "_put", "_patch", "_delete")),
    "list_missing_blobs",
    *("create_upload", "append_to_upload", "delete_upload", "overridden"),
    *("hub_preupload", "hub_batch", "hub_verify", "hub_paths_info", "hub_validate_yaml"),
    "auth_token",  # tests/sign_in has it
    *TICKETED,
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server of this module's own: what its audit holds is what these tests did."""
    settings = ("secrets.access=open", "outbound.allowed_networks=127.0.0.0/8", "auth.attempts_per_minute=3")
    with world(tmp_path_factory.mktemp("audit"), *settings) as made:
        yield made


def entries(client: httpx.Client, **asked: Any) -> list[dict[str, Any]]:
    """All entries of the audit that are asked for, newest first."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {**asked, "page_size": 1000, **({"cursor": cursor} if cursor else {})}
        answer = client.get(AUDIT, params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        cursor = answer.json()["pagination"]["next_cursor"]
        if cursor is None:
            return found


class Writer:
    """Does each write of the API, and holds the audit to it. `me` is an Admin of `space` who may do all else too."""

    def __init__(self, made: World) -> None:
        self.made, self.done = made, set[str]()
        self.space = made.workspace()
        self.me = made.somebody(("Admin", self.space), ("PlatformAdmin", "system"), ("Service", self.space))
        self.subject = self.me.get("/apis/auth/v2/me").json()["subject"]

    def __call__(self, operation: str, method: str, url: str, action: str, **options: Any) -> Any:
        """Sends a request, and looks for its entry."""
        options.setdefault("headers", {})
        request_id = options["headers"]["X-Request-Id"] = self.made.name(operation)
        url = url.replace("{}", self.space)
        answer = self.me.request(method, url, **options)
        assert answer.status_code < 300, (operation, answer.status_code, answer.text)
        found = entries(self.made.root, request_id=request_id)
        assert action in {one["action"] for one in found}, (operation, found)
        for one in found:
            assert (one["outcome"], one["subject"], one["address"]) == ("allowed", self.subject, "127.0.0.1")
            assert one["key_id"]
        assert SECRET not in json.dumps(found)
        self.done.add(operation)
        return answer.json() if answer.headers.get("content-type") == "application/json" and answer.content else None


def test_every_write_has_its_entry(kept: World) -> None:
    write = Writer(kept)
    space = write.space
    write("create_workspace", "POST", ENTITIES, "workspace.create", json={"name": "another"})
    write("update_workspace", "PATCH", f"{ENTITIES}/another", "workspace.update", json={"description": "x"})
    write("replace_workspace", "PUT", f"{ENTITIES}/another", "workspace.update", json={"description": "y"})
    write("revert_workspace", "POST", f"{ENTITIES}/another:revert", "workspace.revert", json={"revision": 1})
    write("delete_workspace", "DELETE", f"{ENTITIES}/another", "workspace.delete")
    write("undelete_workspace", "POST", f"{ENTITIES}/another:undelete", "workspace.undelete")
    described = {"description": "one"}
    places: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "project": (f"{ENTITIES}/{space}/projects", {"name": "pp"}, described),
        "fileset": (FILESETS, {"name": "pp"}, described),
        "model": (MODELS, {"name": "pp", "api_endpoint": {"url": "http://127.0.0.1:9/", "api_key": SECRET}}, described),
        "prompt": ("/apis/models/v2/workspaces/{}/prompts", {"name": "pp", "messages": []}, described),
        "alias": ("/apis/models/v2/workspaces/{}/aliases", {"name": "pp@a", "model": "pp"}, described),
        "secret": (SECRETS, {"name": "pp", "value": SECRET}, described),
        "model_provider": (PROVIDERS, {"name": "pp", "host_url": "http://127.0.0.1:9"}, described),
        "virtual_model": (
            f"{GATEWAY}/virtual-models",
            {"name": "pp", "models": [{"model": "pp"}]},
            {"fallbacks": ["x"]},
        ),
        "limit": (LIMITS, {"name": "pp", "requests_per_minute": 5}, described),
        "webhook": (WEBHOOKS, {"name": "pp", "url": "http://127.0.0.1:9/", "kinds": ["model"]}, described),
    }
    kinds = {"secret": "platform-secret"}
    for noun, (path, body, change) in places.items():
        kind = kinds.get(noun, noun.replace("_", "-"))
        item = f"{path}/{body['name']}"
        write(f"create_{noun}", "POST", path, f"{kind}.create", json=body)
        write(f"update_{noun}", "PATCH", item, f"{kind}.update", json=change)
        if noun in {"project", "prompt"}:
            put = {"description": "two"} if noun == "project" else {"description": "two", "messages": []}
            write(f"replace_{noun}", "PUT", item, f"{kind}.update", json=put)
        write(f"revert_{noun}", "POST", f"{item}:revert", f"{kind}.revert", json={"revision": 1})
        write(f"delete_{noun}", "DELETE", item, f"{kind}.delete")
        write(f"undelete_{noun}", "POST", f"{item}:undelete", f"{kind}.undelete")
        write("purged", "DELETE", f"{item}?purge=true", f"{kind}.purge")
        write("created-again", "POST", path, f"{kind}.create", json=body)
    model = f"{MODELS}/pp"
    write("freeze_model", "POST", f"{model}:freeze", "model.freeze")
    write("unfreeze_model", "POST", f"{model}:unfreeze", "model.unfreeze")
    write(
        "put_model_provider", "PUT", f"{PROVIDERS}/pp", "model-provider.update", json={"host_url": "http://127.0.0.1:8"}
    )
    status = {"status": "READY"}
    write("set_model_provider_status", "PUT", f"{PROVIDERS}/pp/status", "model-provider.update", json=status)
    refresh = f"{STEELYARD}/workspaces/{{}}/providers/pp:refresh"
    write("refresh_model_provider", "POST", refresh, "model-provider.refresh")
    write("rotate_webhook_secret", "POST", f"{WEBHOOKS}/pp:rotate-secret", "webhook.update")
    write("ping_webhook", "POST", f"{WEBHOOKS}/pp:ping", "webhook.ping")
    events = write.me.get(f"{STEELYARD}/events", params={"workspace": space, "kind": "model", "limit": 1000}).json()
    redeliver = {"cursor": events["data"][-1]["cursor"]}
    write("redeliver_to_webhook", "POST", f"{WEBHOOKS}/pp:redeliver", "webhook.redeliver", json=redeliver)
    write("access_secret", "GET", f"{SECRETS}/pp/access", "secrets.access")
    write("rotate_encryption_keys", "POST", "/apis/secrets/v2/rotate-encryption-keys", "secrets.rotate")
    files = f"{FILESETS}/pp"
    write("upload_file", "PUT", f"{files}/-/a.txt", "fileset.update", content=b"a")
    write("upload_file", "PUT", f"{files}/-/b.txt", "fileset.update", content=b"b")
    write("delete_file", "DELETE", f"{files}/-/b.txt", "fileset.update")
    edits = {"changes": [{"op": "copy", "from": "a.txt", "to": "c.txt"}]}
    done = write("commit_files", "POST", f"{files}/commits", "fileset.update", json=edits)
    write("delete_file", "DELETE", f"{files}/-/c.txt", "fileset.update")
    write("restore_files", "POST", f"{files}:restore", "fileset.update", json={"commit": done["id"]})
    place = kept.server.data_dir.parent / "source"
    place.mkdir()
    _adapters(write)
    _by_the_hub(write)
    _many(write)
    _people(write)
    known = {
        one for one in operations(kept.root.get("/openapi.json").json()) if one.method not in {"GET", "HEAD", "OPTIONS"}
    }
    left = {one.id for one in known} - write.done - NO_WRITES - {"sync_fileset", "cancel_fileset_sync"}
    assert left == set()


def _adapters(write: Writer) -> None:
    from tests.filesets.checkpoints import llama, lora, put  # noqa: PLC0415

    put(write.me, write.space, "base", llama())
    put(write.me, write.space, "deltas", lora())
    write.me.post(MODELS.replace("{}", write.space), json={"name": "base", "fileset": "base"})
    adapters, under = "/apis/models/v2/workspaces/{}/adapters", f"{MODELS}/base/adapters"
    body = {"name": "pp", "fileset": "deltas", "finetuning_type": "lora", "model": f"{write.space}/base"}
    write("create_adapter", "POST", adapters, "adapter.create", json=body)
    write("update_adapter", "PATCH", f"{adapters}/pp", "adapter.update", json={"description": "x"})
    write("revert_adapter", "POST", f"{adapters}/pp:revert", "adapter.revert", json={"revision": 1})
    write("delete_adapter", "DELETE", f"{adapters}/pp", "adapter.delete")
    write("undelete_adapter", "POST", f"{adapters}/pp:undelete", "adapter.undelete")
    write("create_model_adapter", "POST", under, "adapter.create", json={**body, "name": "q"})
    write("update_model_adapter", "PATCH", f"{under}/q", "adapter.update", json={"description": "x"})
    write("delete_model_adapter", "DELETE", f"{under}/q", "adapter.delete")


def _by_the_hub(write: Writer) -> None:
    hub, body = "/apis/files/v2/hf", {"name": "hub", "organization": write.space}
    write("hub_create", "POST", f"{hub}/api/repos/create", "fileset.create", json=body)
    line = {"key": "file", "value": {"path": "a", "content": "YQ==", "encoding": "base64"}}
    commit = "\n".join(map(json.dumps, [{"key": "header", "value": {"summary": "x"}}, line]))
    write("hub_commit", "POST", f"{hub}/api/models/{{}}/hub/commit/main", "fileset.update", content=commit)
    write("hub_delete", "DELETE", f"{hub}/api/repos/delete", "fileset.delete", json=body)


def _many(write: Writer) -> None:
    home = f"{STEELYARD}/workspaces/{{}}"
    one = [{"op": "create", "kind": "model", "name": "batched", "body": {}}]
    write("batch", "POST", f"{home}:batch", "model.create", json={"operations": one})
    write("export_workspace", "GET", f"{home}:export", "workspaces.export")
    write("export_usage", "GET", f"{home}/usage:export", "usage.export")
    lines = '{"steelyard_export":1}\n{"kind":"model","name":"imported","record":{}}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    write("import_workspace", "POST", f"{home}:import", "model.create", content=lines, headers=headers)
    write("export_audit", "GET", f"{AUDIT}:export", "audit.export")
    write("fsck", "POST", f"{STEELYARD}/fsck", "system.fsck")


def _people(write: Writer) -> None:
    key = write("create_key", "POST", KEYS, "keys.create", json={"name": "mine"})
    write("revoke_key", "DELETE", f"{KEYS}/{key['id']}", "keys.revoke")
    body = {"principal": "guest", "role": "Viewer", "workspace": write.space}
    binding = write("create_role_binding", "POST", BINDINGS, "iam.create", json=body)
    write("delete_role_binding", "DELETE", f"{BINDINGS}/{binding['id']}", "iam.delete")
    members = f"{ENTITIES}/{{}}/members"
    write("add_member", "POST", members, "iam.create", json={"principal": "guest", "roles": ["Viewer"]})
    write("set_member", "PUT", f"{members}/guest", "iam.create", json={"roles": ["Editor"]})
    write("remove_member", "DELETE", f"{members}/guest", "iam.delete")


def test_syncs_have_their_entries(kept: World) -> None:
    space = kept.workspace()
    me = kept.somebody(("Editor", space))
    files = FILESETS.format(space)
    assert me.post(files, json={"name": "own"}).status_code == 200
    assert me.post(f"{files}/own:sync").status_code == 409  # there is no source: nothing is done, and nothing noted
    assert me.delete(f"{files}/own/sync").status_code == 200
    actions = {one["action"] for one in entries(kept.root, workspace=space)}
    assert "fileset.cancel-sync" in actions
    assert "fileset.sync" not in actions


def test_every_refusal_has_one_entry(kept: World) -> None:
    space = kept.workspace()
    viewer, nobody = kept.somebody(("Viewer", space)), kept.client(None)
    url = MODELS.format(space)
    for number, (client, status) in enumerate(
        ((viewer, 403), (nobody, 401), (kept.client("sy_" + "0" * 12 + "_" + "0" * 40), 401))
    ):
        answer = client.post(url, json={"name": "x"}, headers={"X-Request-Id": f"refusal-{number}"})
        assert answer.status_code == status
        time.sleep(0.6)
        (found,) = entries(kept.root, request_id=f"refusal-{number}")
        assert (found["outcome"], found["action"], found["detail"]) == ("refused", f"POST {url}", str(status))
        assert (found["workspace"], found["address"]) == (space, "127.0.0.1")
    admin = kept.somebody(("Admin", space))
    assert {one["request_id"] for one in entries(admin, outcome="refused")} == {f"refusal-{n}" for n in range(3)}


def test_a_dry_run_and_a_write_that_fails_have_none(kept: World) -> None:
    space = kept.workspace()
    me = kept.somebody(("Editor", space))
    me.post(f"{MODELS.format(space)}?dry_run=true", json={"name": "x"}, headers={"X-Request-Id": "dry"})
    me.post(MODELS.format(space), json={"name": "/"}, headers={"X-Request-Id": "failed"})
    assert entries(kept.root, request_id="dry") == entries(kept.root, request_id="failed") == []


def test_who_reads_what_of_it(kept: World) -> None:
    spaces = [kept.workspace(), kept.workspace()]
    for space in spaces:
        kept.root.post(MODELS.format(space), json={"name": "m"})
    admin, editor = kept.somebody(("Admin", spaces[0])), kept.somebody(("Editor", spaces[0]))
    assert editor.get(AUDIT).status_code == 403
    assert {one["workspace"] for one in entries(admin)} == {spaces[0]}
    assert entries(admin, workspace=spaces[1]) == []
    assert admin.get(f"{AUDIT}:verify").status_code == 403
    lines = [json.loads(line) for line in admin.get(f"{AUDIT}:export").text.splitlines()]
    assert {one["workspace"] for one in lines} == {spaces[0]}
    everything = {one["workspace"] for one in entries(kept.root)}
    assert {None, *spaces} <= everything


def test_the_document_describes_an_entry_as_it_is(kept: World) -> None:
    described = kept.root.get("/openapi.json").json()["components"]["schemas"]["AuditBody"]["properties"]
    shown = kept.root.get("/apis/steelyard/v1/audit", params={"page_size": 1}).json()["data"][0]
    assert set(described) == set(shown)


def test_filters_and_pages(kept: World) -> None:
    space = kept.workspace()
    me = kept.somebody(("Editor", space))
    for number in range(7):
        me.post(MODELS.format(space), json={"name": f"m{number}"})
    me.patch(f"{MODELS.format(space)}/m3", json={"description": "x"})
    subject = me.get("/apis/auth/v2/me").json()["subject"]
    assert len(entries(kept.root, workspace=space, action="model.create", subject=subject)) == 7
    (changed,) = entries(kept.root, workspace=space, name="m3", action="model.update")
    assert changed["detail"] == "description"
    assert (changed["rule"], changed["revision"]) == (f"Editor@{space}", 2)
    assert entries(kept.root, workspace=space, until=changed["at"])[0]["name"] == "m6"
    assert len(entries(kept.root, workspace=space, since=changed["at"])) == 1
    seen: list[str] = []
    cursor = None
    while True:
        query: dict[str, Any] = {"workspace": space, "action": "model.create", "page_size": 3}
        query |= {"cursor": cursor} if cursor else {}
        page = kept.root.get(AUDIT, params=query).json()
        seen += [one["name"] for one in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"m{number}" for number in reversed(range(7))]
    for bad in ({"cursor": "x"}, {"since": "yesterday"}, {"outcome": "maybe"}, {"page_size": 0}):
        assert kept.root.get(AUDIT, params=bad).status_code in {400, 422}


def run_cli(*arguments: str, key: str = "", url: str = "") -> subprocess.CompletedProcess[str]:
    """A run of `steelyard audit`."""
    environ = {**os.environ, "STEELYARD_API_KEY": key, "STEELYARD_URL": url}
    return subprocess.run(
        [sys.executable, "-m", "steelyard", "audit", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_changed_or_taken_out_unseen(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        space = made.workspace()
        for number in range(5):
            made.root.post(MODELS.format(space), json={"name": f"m{number}"})
        whole = made.root.get(f"{AUDIT}:verify").json()
        assert (whole["whole"], whole["broken_at"], whole["noted_found"]) == (True, None, None)
        assert made.root.get(f"{AUDIT}:verify", params={"head": whole["head"]}).json()["noted_found"] is True
        wrong = made.root.get(f"{AUDIT}:verify", params={"head": "0" * 63 + "1"}).json()
        assert (wrong["whole"], wrong["noted_found"]) == (False, False)
        listed = run_cli("list", "--json", key=made.root_key, url=made.url)
        assert (listed.returncode, "model.create" in listed.stdout) == (0, True)
        online = run_cli("verify", "--head", whole["head"], key=made.root_key, url=made.url)
        assert (online.returncode, "all as they were written" in online.stdout) == (0, True), online.stderr
        exported = tmp_path / "audit.ndjson"
        assert run_cli("export", "-o", str(exported), key=made.root_key, url=made.url).returncode == 0
    database = tmp_path / "data" / "steelyard.db"
    folder = ("verify", "--data-dir", str(tmp_path / "data"))
    good = run_cli(*folder, "--head", whole["head"], "--json")
    assert good.returncode == 0, good.stderr
    last = json.loads(good.stdout)
    assert run_cli("verify", str(exported)).returncode == 0
    lines = exported.read_text().splitlines()
    forged = json.dumps({**json.loads(lines[3]), "subject": "somebody else"})
    for broken, at in (([*lines[:3], *lines[4:]], 5), ([*lines[:3], forged, *lines[4:]], 4), (lines[1:], 2)):
        exported.write_text("\n".join(broken))
        found = run_cli("verify", str(exported), "--json")
        assert (found.returncode, json.loads(found.stdout)["broken_at"]) == (9, at)
    exported.write_text("not an audit\n")
    assert run_cli("verify", str(exported)).returncode == 2
    assert run_cli("verify", "--data-dir", str(tmp_path / "nowhere")).returncode == 2
    with sqlite3.connect(database) as connection:
        for statement in ("UPDATE audit SET subject = 'x' WHERE seq = 3", "DELETE FROM audit WHERE seq = 3"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                connection.execute(statement)
    for tamper, broken_at in (
        ("UPDATE audit SET subject = 'somebody else' WHERE seq = 3", 3),
        ("UPDATE audit SET subject = (SELECT subject FROM audit WHERE seq = 2) WHERE seq = 3", 3),
    ):
        _by_force(database, tamper)
        found = run_cli(*folder, "--json")
        assert (found.returncode, json.loads(found.stdout)["broken_at"]) == (9, broken_at)
    _by_force(database, f"DELETE FROM audit WHERE seq > {last['rows'] - 2}")
    _by_force(database, "UPDATE audit SET subject = 'admin' WHERE seq = 3")
    found = run_cli(*folder, "--head", last["head"], "--json")
    assert found.returncode == 9


def test_what_is_cut_off_at_the_end_is_seen_by_a_noted_head(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        made.workspace()
        head = made.root.get(f"{AUDIT}:verify").json()["head"]
    database, folder = tmp_path / "data" / "steelyard.db", ("verify", "--data-dir", str(tmp_path / "data"))
    _by_force(database, "DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)")
    assert run_cli(*folder).returncode == 0  # the rest is whole
    cut = run_cli(*folder, "--head", head)
    assert (cut.returncode, "cut off" in cut.stdout) == (9, True)


def _by_force(database: Path, statement: str) -> None:
    """What somebody does who has the file."""
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TRIGGER IF EXISTS audit_is_not_changed")
        connection.execute("DROP TRIGGER IF EXISTS audit_is_not_removed")
        connection.execute(statement)
    connection.close()
