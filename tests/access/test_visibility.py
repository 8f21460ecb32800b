"""What a caller may not see is not there for them: not in lists, counts, filters, references, answers of writes, feeds,
webhooks, differences, nor in the errors that tell of it; and what they may not use, nobody lends them.
"""

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.access.worlds import BINDINGS, KEYS, World
from tests.filesets.checkpoints import llama, put

MODELS, ADAPTERS = "/apis/models/v2/workspaces/{}/models", "/apis/models/v2/workspaces/{}/adapters"
FILESETS, PROVIDERS = "/apis/files/v2/workspaces/{}/filesets", "/apis/models/v2/workspaces/{}/providers"
ALIASES, PROJECTS = "/apis/models/v2/workspaces/{}/aliases", "/apis/entities/v2/workspaces/{}/projects"
SECRETS, WEBHOOKS = "/apis/secrets/v2/workspaces/{}/secrets", "/apis/steelyard/v1/workspaces/{}/webhooks"
VIRTUAL = "/apis/inference-gateway/v2/workspaces/{}/virtual-models"
ASK = "/apis/inference-gateway/v2/workspaces/{}/openai/-/v1/chat/completions"
_TIME = re.compile(r"20[0-9-]+T[0-9:.]+Z")
MERGE = {"Content-Type": "application/merge-patch+json"}


class Place:
    """Two workspaces: `mine`, of which `me` is an Editor, and `hers`, of which I see nothing."""

    def __init__(self, asked: World) -> None:
        self.asked, self.root = asked, asked.root
        self.mine, self.hers = asked.workspace(), asked.workspace()
        self.me = asked.somebody(("Editor", self.mine))
        self.admin = asked.somebody(("Admin", self.mine))

    def make(self, path: str, workspace: str, name: str, **body: Any) -> Any:
        answer = self.root.post(path.format(workspace), json={"name": name, **body})
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def fileset(self, workspace: str, name: str) -> None:
        self.make(FILESETS, workspace, name)
        assert self.root.put(f"{FILESETS.format(workspace)}/{name}/-/README.md", content=b"hello").status_code < 300

    def same(
        self, client: httpx.Client, method: str, url: str, there: Any, gone: Any, **options: Any
    ) -> httpx.Response:
        """The answer to a request that names what is there in `hers`; it must be that to one which names nothing."""
        first = client.request(method, url, json=there, **options)
        second = client.request(method, url, json=gone, **options)
        told = [
            _TIME.sub("TIME", one.text).replace(name, "X")
            for one, name in ((first, "secret-name"), (second, "other-name"))
        ]
        assert (first.status_code, told[0]) == (second.status_code, told[1])
        return first


@pytest.fixture
def place(asked: World) -> Place:
    return Place(asked)


def test_references_to_what_is_not_seen_are_as_to_what_is_not_there(place: Place) -> None:
    place.fileset(place.hers, "secret-name")
    place.make(MODELS, place.hers, "secret-name")
    place.fileset(place.mine, "weights")
    place.make(MODELS, place.mine, "m")
    item = f"{MODELS.format(place.mine)}/m"
    there, gone = f"{place.hers}/secret-name", f"{place.hers}/other-name"
    for fields in ({"fileset": there}, {"fileset": gone}):
        assert place.me.patch(item, json=fields).status_code in {400, 404, 422}
    place.same(place.me, "PATCH", item, {"fileset": there}, {"fileset": gone})
    place.same(
        place.me, "POST", ALIASES.format(place.mine), {"name": "a@b", "model": there}, {"name": "a@b", "model": gone}
    )
    body = {"name": "ad", "fileset": "weights", "finetuning_type": "lora"}
    place.same(place.me, "POST", ADAPTERS.format(place.mine), {**body, "model": there}, {**body, "model": gone})
    dry = {"base_model": there}, {"base_model": gone}
    place.same(place.me, "PATCH", f"{item}?dry_run=true", *dry, headers=MERGE)
    for refused in ({"fileset": there},):
        assert "secret-name" not in place.root.get(item).text, refused


def test_an_alias_lends_no_rights_to_what_it_stands_for(place: Place) -> None:
    place.make(MODELS, place.hers, "m", description="hers")
    place.make(ALIASES, place.mine, "m@prod", model=f"{place.hers}/m")  # by somebody who sees both
    by_alias = f"{MODELS.format(place.mine)}/m@prod"
    assert place.me.get(by_alias).status_code == 404
    assert place.me.patch(by_alias, json={"description": "mine"}).status_code == 404
    viewer = place.asked.somebody(("Editor", place.mine), ("Viewer", place.hers))
    assert viewer.get(by_alias).status_code == 200
    assert viewer.patch(by_alias, json={"description": "mine"}).status_code == 403
    assert place.root.get(f"{MODELS.format(place.hers)}/m").json()["description"] == "hers"


def _with_adapter(place: Place) -> str:
    """A model of mine with an adapter of hers; the adapter's name."""
    place.fileset(place.hers, "deltas")
    place.make(MODELS, place.mine, "base")
    body = {"fileset": "deltas", "finetuning_type": "lora", "model": f"{place.mine}/base"}
    place.make(ADAPTERS, place.hers, "hidden-adapter", **body)
    return "hidden-adapter"


def test_adapters_of_another_workspace_are_not_in_the_model(place: Place) -> None:
    hidden = _with_adapter(place)
    item, listed = f"{MODELS.format(place.mine)}/base", MODELS.format(place.mine)
    assert hidden in place.root.get(item).text
    answers = [
        place.me.get(item),
        place.me.get(f"{item}?verbose=1"),
        place.me.get(listed),
        place.me.patch(item, json={"description": "x"}),
        place.me.patch(item, json={"description": "y"}, headers=MERGE),
        place.me.patch(f"{item}?dry_run=true", json={"description": "z"}),
        place.me.patch(item, json=place.me.get(item).json()),
        place.me.get(f"{item}/revisions"),
        place.me.get(f"{item}?revision=2"),
        place.me.get(f"{item}/revisions/1...2"),
        place.me.get(f"{item}/lineage"),
        place.me.get("/apis/steelyard/v1/events?limit=1000"),
        place.me.post(f"{item}:freeze"),
        place.admin.post(f"{item}:unfreeze"),
        place.me.post(f"{item}:revert", json={"revision": 1}),
        place.me.delete(f"{item}?dry_run=true"),
        place.me.post(
            f"/apis/steelyard/v1/workspaces/{place.mine}:batch",
            json={"operations": [{"op": "update", "kind": "model", "name": "base", "body": {"description": "b"}}]},
        ),
    ]
    for answer in answers:
        assert answer.status_code < 300, answer.text
        assert hidden not in answer.text, answer.request.url
    deleted = place.me.delete(item)
    assert deleted.status_code == 204, deleted.text
    assert deleted.headers.get("x-steelyard-dangling", "0") == "0"
    assert hidden not in place.admin.post(f"{item}:undelete").text
    assert hidden in place.root.get(item).text


def test_filters_over_relations_end_where_the_caller_sees_no_further(place: Place) -> None:
    hidden = _with_adapter(place)
    listed = MODELS.format(place.mine)
    for filter, sees in (
        ({"adapters": {"name": hidden}}, False),
        ({"adapters": True}, False),
        ({"adapters": False}, True),
        ({"$not": {"adapters": {"name": hidden}}}, True),
        ({"adapters": {"name": {"$like": "hidden"}}}, False),
    ):
        mine = place.me.get(listed, params={"filter": json.dumps(filter)})
        assert mine.status_code == 200, mine.text
        assert [one["name"] for one in mine.json()["data"]] == (["base"] if sees else []), filter
        assert mine.json()["pagination"]["total_results"] == int(sees)
        everything = place.root.get(listed, params={"filter": json.dumps(filter)})
        assert [one["name"] for one in everything.json()["data"]] == ([] if sees else ["base"])


def test_counts_of_what_dangles_are_of_what_is_seen(place: Place) -> None:
    place.make(MODELS, place.mine, "base")
    place.make(MODELS, place.hers, "tuned", base_model=f"{place.mine}/base")
    item = f"{MODELS.format(place.mine)}/base"
    shown = place.me.delete(f"{item}?dry_run=true").json()["dry_run"]["affected"]
    assert shown["dangling"] == []
    assert place.me.get(f"{item}/lineage").status_code == 200
    assert "tuned" not in place.me.get(f"{item}/lineage").text
    assert place.me.delete(item).headers.get("x-steelyard-dangling", "0") == "0"


def test_lists_of_all_workspaces_hold_what_is_seen(place: Place) -> None:
    place.make(MODELS, place.hers, "unseen-model")
    place.fileset(place.hers, "unseen-files")
    for path in (MODELS, FILESETS, ADAPTERS, PROVIDERS, ALIASES, PROJECTS, SECRETS, WEBHOOKS, VIRTUAL):
        answer = place.me.get(path.format("-"), params={"page_size": 1000})
        assert answer.status_code == 200
        assert {one["workspace"] for one in answer.json()["data"]} <= {place.mine}
        assert answer.json()["pagination"]["total_results"] == len(answer.json()["data"])
        inside = place.me.get(path.format("-"), params={"filter[workspace]": place.hers})
        assert inside.json()["data"] == []
    spaces = place.me.get("/apis/entities/v2/workspaces", params={"page_size": 1000}).json()
    assert [one["name"] for one in spaces["data"]] == [place.mine]
    assert spaces["pagination"]["total_results"] == 1
    hub = place.me.get("/apis/files/v2/hf/api/models", params={"limit": 1000})
    assert "unseen-files" not in hub.text
    assert place.me.get("/apis/files/v2/hf/api/models", params={"author": place.hers}).json() == []
    assert place.hers not in place.me.get("/v1/models").text


def test_a_cursor_leads_nowhere_else(place: Place) -> None:
    for name in ("a", "b", "c"):
        place.make(MODELS, place.mine, name)
        place.make(MODELS, place.hers, f"hers-{name}")
    page = place.root.get(MODELS.format(place.hers), params={"page_size": 1, "sort": "name"})
    cursor = page.json()["pagination"]["next_cursor"]
    answer = place.me.get(MODELS.format("-"), params={"page_size": 10, "sort": "name", "cursor": cursor})
    assert "hers-" not in answer.text
    assert place.me.get(MODELS.format(place.hers), params={"cursor": cursor, "sort": "name"}).status_code == 403


def test_the_feed_and_its_stream_tell_nothing_of_others(place: Place) -> None:
    place.make(MODELS, place.mine, "seen")
    place.make(MODELS, place.hers, "unseen")
    for method, path in (("DELETE", "unseen"), ("DELETE", "unseen?purge=true")):
        place.root.request(method, f"{MODELS.format(place.hers)}/{path}")
    page = place.me.get("/apis/steelyard/v1/events", params={"limit": 1000})
    while True:
        told = page.json()
        assert {one["workspace"] for one in told["data"]} <= {place.mine, ""}
        assert place.hers not in page.text
        if not told["data"]:
            break
        page = place.me.get("/apis/steelyard/v1/events", params={"limit": 1000, "after": told["next_cursor"]})
    assert (
        place.me.get("/apis/steelyard/v1/events", params={"workspace": place.hers, "limit": 1000}).json()["data"] == []
    )
    lines: list[str] = []
    with place.me.stream("GET", "/apis/steelyard/v1/events", headers={"Accept": "text/event-stream"}) as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if '"name":"seen"' in line:
                break
    assert not any(place.hers in line for line in lines)


def test_a_page_of_the_feed_passes_what_is_not_seen(place: Place) -> None:
    """Whoever sees little must get on: the cursor moves over what is hidden, and nothing is read again and again."""
    start = place.me.get("/apis/steelyard/v1/events", params={"after": "latest"}).json()["next_cursor"]
    for number in range(30):
        place.make(MODELS, place.hers, f"m{number}")
    told = place.me.get("/apis/steelyard/v1/events", params={"after": start, "limit": 1000}).json()
    assert told["data"] == []
    assert int(told["next_cursor"]) >= int(start) + 30


class Receiver:
    """A place that webhooks and providers can send to."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.bodies.append((self.path, dict(self.headers), body))
                answer = json.dumps({"choices": [], "model": "x", "usage": {}}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Any:
    made = Receiver()
    yield made
    made.close()


def test_nobody_has_themselves_told_what_they_may_not_read(place: Place, receiver: Receiver) -> None:
    narrow = place.asked.client(place.asked.key(_subject(place.me), scopes=["entities:*"]))
    body = {"name": "hook", "url": receiver.url}
    assert narrow.post(WEBHOOKS.format(place.mine), json=body).status_code == 403
    assert narrow.post(WEBHOOKS.format(place.mine), json={**body, "kinds": ["model"]}).status_code == 403
    assert narrow.post(WEBHOOKS.format(place.mine), json={**body, "kinds": ["project"]}).status_code == 201
    item = f"{WEBHOOKS.format(place.mine)}/hook"
    assert narrow.patch(item, json={"kinds": ["project", "platform-secret"]}).status_code == 403
    assert place.me.patch(item, json={"kinds": ["model"]}).status_code == 200
    assert narrow.patch(item, json={"url": f"{receiver.url}/mine"}).status_code == 403
    assert narrow.patch(item, json={"description": "x"}).status_code == 200


def _subject(client: httpx.Client) -> str:
    return str(client.get("/apis/auth/v2/me").json()["subject"])


def test_a_provider_is_not_said_to_serve_the_models_of_others(place: Place, receiver: Receiver) -> None:
    place.make(MODELS, place.hers, "m")
    served = [{"model_entity_id": f"{place.hers}/m", "served_model_name": "m"}]
    body = {"name": "p", "host_url": receiver.url, "served_models": served}
    there = place.me.post(PROVIDERS.format(place.mine), json=body)
    gone = [{"model_entity_id": f"{place.hers}/never", "served_model_name": "m"}]
    missing = place.me.post(PROVIDERS.format(place.mine), json={**body, "served_models": gone})
    assert (there.status_code, there.text) == (missing.status_code, missing.text)
    assert there.status_code == 403
    assert place.root.get(f"{MODELS.format(place.hers)}/m").json()["model_providers"] == []
    assert place.me.post(PROVIDERS.format(place.mine), json={**body, "served_models": []}).status_code == 201
    status = f"{PROVIDERS.format(place.mine)}/p/status"
    assert place.me.put(status, json={"status": "READY", "served_models": served}).status_code == 403


def test_a_secret_is_spent_by_those_who_see_it(place: Place, receiver: Receiver) -> None:
    place.root.post(SECRETS.format(place.mine), json={"name": "token", "value": "s3cret-value"})
    narrow = place.asked.client(place.asked.key(_subject(place.me), scopes=["models:*", "files:*"]))
    body = {"name": "p", "host_url": receiver.url, "api_key_secret_name": "token"}
    refused = narrow.post(PROVIDERS.format(place.mine), json=body)
    missing = narrow.post(PROVIDERS.format(place.mine), json={**body, "api_key_secret_name": "never"})
    assert refused.status_code == missing.status_code
    assert refused.text == missing.text.replace("never", "token")
    assert place.me.post(PROVIDERS.format(place.mine), json=body).status_code == 201
    moved = narrow.patch(f"{PROVIDERS.format(place.mine)}/p", json={"host_url": f"{receiver.url}/elsewhere"})
    assert moved.status_code == refused.status_code
    storage = {"type": "https", "url": f"{receiver.url}/", "token_secret": "token"}
    for secret in ("token", "never"):
        answer = narrow.post(
            FILESETS.format(place.mine), json={"name": "f", "storage": {**storage, "token_secret": secret}}
        )
        assert 400 <= answer.status_code < 500
    assert not any(b"s3cret" in str(seen).encode() for seen in receiver.bodies)


def test_what_a_name_stands_for_elsewhere_is_not_told(place: Place, receiver: Receiver) -> None:
    place.make(PROVIDERS, place.hers, "p", host_url=receiver.url)
    place.make(MODELS, place.hers, "secret-name", model_providers=[f"{place.hers}/p"])
    ask = ASK.format(place.mine)
    answers = []
    for number, name in enumerate(("secret-name", "other-name")):
        place.make(VIRTUAL, place.mine, f"vm{number}", models=[{"model": f"{place.hers}/{name}"}])
        answers.append(place.me.post(ask, json={"model": f"vm{number}", "messages": []}))
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].text == answers[1].text.replace("vm1", "vm0")
    # A provider of hers is lent to nobody by a record of mine.
    for number, name in enumerate(("p", "never")):
        place.make(MODELS, place.mine, f"lent{number}", model_providers=[f"{place.hers}/{name}"])
        answers.append(place.me.post(ask, json={"model": f"lent{number}", "messages": []}))
    assert answers[2].status_code == answers[3].status_code == 404
    assert answers[2].text == answers[3].text.replace("lent1", "lent0")
    for name in (f"{place.hers}/secret-name", f"{place.hers}/other-name", f"{place.hers}/b&adapters/x/y"):
        answer = place.me.post(ask, json={"model": name, "messages": []})
        assert answer.status_code == 403
        assert "secret-name" not in answer.text
    named = place.me.get(f"/apis/inference-gateway/v2/workspaces/{place.mine}/openai/-/v1/models").text
    assert "vm0" not in named
    assert "lent0" not in named
    assert receiver.bodies == []
    both = place.asked.somebody(("Editor", place.mine), ("Invoker", place.hers))
    assert both.post(ask, json={"model": "vm0", "messages": []}).status_code == 200
    assert "vm0" in both.get("/v1/models").text


def test_a_key_for_one_model_calls_no_other(place: Place, receiver: Receiver) -> None:
    place.make(PROVIDERS, place.mine, "p", host_url=receiver.url)
    for name in ("p", "m", "n"):
        place.make(MODELS, place.mine, name, model_providers=[f"{place.mine}/p"])
    place.make(ALIASES, place.mine, "n@prod", model=f"{place.mine}/n")
    place.make(VIRTUAL, place.mine, "vm", models=[{"model": "n"}])
    bound = place.asked.client(place.asked.key(_subject(place.me), models=[f"{place.mine}/m", f"{place.mine}/p"]))
    gateway = f"/apis/inference-gateway/v2/workspaces/{place.mine}"
    body: dict[str, Any] = {"messages": []}
    assert bound.post(ASK.format(place.mine), json={**body, "model": "m"}).status_code == 200
    for name in ("n", "n@prod", "vm", f"m&adapters/{place.mine}/x", "m/../n"):
        answer = bound.post(ASK.format(place.mine), json={**body, "model": name})
        assert answer.status_code in {403, 404}, name
    assert bound.post(f"{gateway}/provider/p/-/v1/chat/completions", json={**body, "model": "n"}).status_code == 403
    assert bound.post(f"{gateway}/model/n/-/v1/chat/completions", json=body).status_code == 403
    assert bound.post(f"{gateway}/model/m/-/v1/chat/completions", json={**body, "model": "n"}).status_code == 200
    assert json.loads(receiver.bodies[-1][2])["model"] in {"m", f"{place.mine}/m"}
    listed = [one["id"] for one in bound.get("/v1/models").json()["data"]]
    assert set(listed) <= {f"{place.mine}/m", f"{place.mine}/p"}


def test_what_takes_a_permission_of_its_own(place: Place) -> None:
    place.make(MODELS, place.mine, "m")
    item = f"{MODELS.format(place.mine)}/m"
    assert place.me.delete(f"{item}?purge=true").status_code == 403
    assert place.root.get(item).status_code == 200
    assert place.me.post(f"{item}:freeze").status_code == 200
    assert place.me.post(f"{item}:unfreeze").status_code == 403
    assert place.admin.post(f"{item}:unfreeze").status_code == 200
    space = f"/apis/entities/v2/workspaces/{place.mine}"
    assert place.me.patch(space, json={"description": "x"}).status_code == 200
    for policy in ({"file_policy": {"pickles": "allow"}}, {"recording": {"enabled": True}}):
        assert place.me.patch(space, json=policy).status_code == 403
        batch = {"operations": [{"op": "update", "kind": "workspace", "name": place.mine, "body": policy}]}
        assert place.me.post(f"/apis/steelyard/v1/workspaces/{place.mine}:batch", json=batch).status_code >= 400
        assert place.admin.patch(space, json=policy).status_code == 200
    assert place.me.post(f"{space}:revert", json={"revision": 1}).status_code == 403
    assert place.me.delete(item).status_code == 204
    for operations in ([{"op": "undelete", "kind": "model", "name": "m"}],):
        answer = place.me.post(f"/apis/steelyard/v1/workspaces/{place.mine}:batch", json={"operations": operations})
        assert answer.status_code == 403, answer.text
    assert place.me.delete(f"{item}?purge=true").status_code == 403
    assert place.admin.post(f"{item}:undelete").status_code == 200
    assert place.admin.delete(f"{item}?purge=true").status_code == 204


def test_code_comes_by_no_other_way_than_by_permission(place: Place) -> None:
    plugin = {"tool_call_config": {"tool_call_plugin": "evil.py"}}
    place.make(MODELS, place.mine, "m")
    for method, url, body in (
        ("PATCH", f"{MODELS.format(place.mine)}/m", {"trust_remote_code": True}),
        ("POST", MODELS.format(place.mine), {"name": "n", "trust_remote_code": True}),
        ("PATCH", f"{MODELS.format(place.mine)}/m", {"spec": plugin}),
        (
            "POST",
            FILESETS.format(place.mine),
            {"name": "f", "metadata": {"model": {"tool_calling": {"tool_call_plugin": "x"}}}},
        ),
    ):
        assert place.me.request(method, url, json=body).status_code in {403, 422}, url
    assert place.admin.patch(f"{MODELS.format(place.mine)}/m", json={"trust_remote_code": True}).status_code in {
        200,
        403,
    }
    assert place.me.patch(f"{MODELS.format(place.mine)}/m", json={"trust_remote_code": False}).status_code == 200


def test_batches_imports_and_the_hub_ask_as_the_routes_do(place: Place) -> None:
    viewer = place.asked.somebody(("Viewer", place.mine))
    batch, hub = f"/apis/steelyard/v1/workspaces/{place.mine}:batch", "/apis/files/v2/hf"
    place.fileset(place.mine, "files")
    for op in ("create", "apply"):
        operations: list[dict[str, Any]] = [{"op": op, "kind": "model", "name": "x", "body": {}}]
        assert viewer.post(batch, json={"operations": operations}).status_code == 403
        one_by_one = viewer.post(batch, json={"operations": operations, "atomic": False})
        assert one_by_one.status_code >= 400 or '"status":403' in one_by_one.text.replace(" ", "")
    publisher = place.asked.somebody(("Publisher", place.mine))
    operations = [{"op": "create", "kind": "model-provider", "name": "x", "body": {"host_url": "http://127.0.0.1:1"}}]
    assert publisher.post(batch, json={"operations": operations}).status_code == 403
    lines = '{"steelyard_export":1}\n{"kind":"model","name":"x","record":{}}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    assert place.me.post(batch.replace(":batch", ":import"), content=lines, headers=headers).status_code == 403
    file = '{"key":"file","value":{"path":"a","content":"","encoding":"base64"}}'
    commit = f'{{"key":"header","value":{{"summary":"x"}}}}\n{file}\n'
    path = f"{hub}/api/models/{place.mine}/files/commit/main"
    assert viewer.post(path, content=commit).status_code == 403
    assert place.me.post(path, content=commit).status_code == 200
    lfs = {"operation": "upload", "objects": [{"oid": "a" * 64, "size": 1}], "transfers": ["basic"]}
    assert viewer.post(f"{hub}/{place.mine}/files.git/info/lfs/objects/batch", json=lfs).status_code == 403
    assert viewer.get(f"{hub}/api/models/{place.mine}/files/xet-write-token/main").status_code == 403
    stranger = place.asked.somebody(("Viewer", place.hers))
    for repository in ("files", "never"):
        answer = stranger.get(f"{hub}/api/models/{place.mine}/{repository}")
        assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RepoNotFound")


def test_uploads_to_the_hub_work_with_a_ticket_and_with_nothing_else(place: Place) -> None:
    place.fileset(place.mine, "files")
    data = b"large" * 100
    oid = hashlib.sha256(data).hexdigest()
    lfs = {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}], "transfers": ["basic"]}
    batch = place.me.post(f"/apis/files/v2/hf/{place.mine}/files.git/info/lfs/objects/batch", json=lfs)
    href = batch.json()["objects"][0]["actions"]["upload"]["href"]
    nobody = httpx.Client()
    assert nobody.put(href.replace("ticket=v", "ticket=w"), content=data).status_code == 403
    assert nobody.put(href[:-8], content=data).status_code == 403
    assert nobody.put(href, content=b"wrong").status_code >= 400
    assert nobody.put(href, content=data).status_code == 200
    nobody.close()
    # The bytes of one workspace are not those of another: to name them is to have sent them.
    place.fileset(place.hers, "files")
    other = place.asked.somebody(("Editor", place.hers))
    missing = other.post(
        f"{FILESETS.format(place.hers)}/files/blobs:missing",
        json={"digests": [{"sha256": one} for one in (oid, "b" * 64)]},
    )
    assert sorted(missing.json()["missing"]) == sorted([oid, "b" * 64])
    commit = [
        other.post(
            f"{FILESETS.format(place.hers)}/files/commits",
            json={"changes": [{"op": "put", "path": "a", "sha256": digest, "size": len(data)}]},
        )
        for digest in (oid, "b" * 64)
    ]
    assert commit[0].status_code == commit[1].status_code == 409
    assert commit[0].text.replace(oid, "D") == commit[1].text.replace("b" * 64, "D")


def test_answers_that_are_kept_for_one_are_not_given_to_another(place: Place) -> None:
    headers = {"Idempotency-Key": "the-same"}
    body = {"name": "once", "description": "of mine"}
    first = place.me.post(MODELS.format(place.mine), json=body, headers=headers)
    assert first.status_code == 201
    second = place.admin.post(MODELS.format(place.mine), json=body, headers=headers)
    assert second.status_code == 409
    viewer = place.asked.somebody(("Viewer", place.mine))
    assert viewer.post(MODELS.format(place.mine), json=body, headers=headers).status_code == 403


def test_the_name_of_a_deleted_workspace_brings_nothing_with_it(place: Place) -> None:
    place.make(MODELS, place.hers, "m", description="confidential")
    assert place.root.delete(f"/apis/entities/v2/workspaces/{place.hers}").status_code == 200
    creator = place.asked.somebody(("WorkspaceCreator", "system"))
    assert creator.post("/apis/entities/v2/workspaces", json={"name": place.hers}).status_code == 409
    assert creator.post("/apis/entities/v2/workspaces", json={"name": f"{place.hers}-new"}).status_code == 201
    assert place.root.delete(f"/apis/entities/v2/workspaces/{place.hers}?purge=true").status_code == 200
    assert creator.post("/apis/entities/v2/workspaces", json={"name": place.hers}).status_code == 201
    assert "confidential" not in creator.get("/apis/steelyard/v1/events", params={"limit": 1000}).text
    assert creator.get(f"{MODELS.format(place.hers)}/m/revisions").status_code == 404


def test_a_policy_holds_for_those_who_do_not_see_it(place: Place) -> None:
    """A key that reads files and nothing else gets no file that its workspace does not hand out."""
    place.fileset(place.mine, "files")
    pickle = b"\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R."
    path = f"{FILESETS.format(place.mine)}/files/-/model.pkl"
    assert place.root.put(path, content=pickle).status_code < 300
    policy = {"file_policy": {"pickles": "safetensors_only"}}
    assert place.root.patch(f"/apis/entities/v2/workspaces/{place.mine}", json=policy).status_code == 200
    narrow = place.asked.client(place.asked.key(_subject(place.me), scopes=["files:read"]))
    assert place.me.get(path).status_code == narrow.get(path).status_code == 403


def test_models_elsewhere_follow_the_files_that_whoever_commits_does_not_see(place: Place) -> None:
    """Writes keep everything whole, also what the caller does not see."""
    place.fileset(place.mine, "files")
    place.make(MODELS, place.hers, "m", fileset=f"{place.mine}/files")
    put(place.me, place.mine, "files", llama())
    assert place.root.get(f"{MODELS.format(place.hers)}/m").json()["spec"] is not None


def test_keys_and_roles_of_others(place: Place) -> None:
    made = place.me.post(KEYS, json={"name": "mine"}).json()
    assert place.admin.get(f"{KEYS}/{made['id']}").status_code == 404
    assert place.admin.delete(f"{KEYS}/{made['id']}").status_code == 404
    assert place.me.get(KEYS, params={"owner": "admin"}).status_code in {200, 403}
    assert made["id"] not in place.admin.get(KEYS).text
    binding = place.asked.bind("a-guest", "Viewer", place.hers)
    assert place.admin.get(f"{BINDINGS}/{binding}").status_code == 404
    assert place.admin.delete(f"{BINDINGS}/{binding}").status_code == 404
    listed = place.admin.get(BINDINGS, params={"page_size": 1000}).json()
    assert {one["workspace"] for one in listed["data"]} == {place.mine}
    assert listed["pagination"]["total_results"] == len(listed["data"])
    filtered = place.admin.get(BINDINGS, params={"filter[workspace]": place.hers}).json()
    assert filtered["pagination"]["total_results"] == 0


def test_usage_is_that_of_the_workspaces_that_one_may_read(place: Place, receiver: Receiver) -> None:
    for workspace in (place.mine, place.hers):
        place.make(PROVIDERS, workspace, "p", host_url=receiver.url)
        place.make(MODELS, workspace, "m", model_providers=[f"{workspace}/p"])
        answer = place.root.post(ASK.format(workspace), json={"model": "m", "messages": []})
        assert answer.status_code == 200
    usage, until = "/apis/steelyard/v1/workspaces/{}/usage", time.monotonic() + 10
    while len(place.root.get(usage.format(place.hers)).json()["data"]) < 1 and time.monotonic() < until:
        time.sleep(0.1)
    for end in ("", ":summary"):
        text = place.me.get(usage.format("-") + end, params={"group_by": "workspace"} if end else {}).text
        assert place.mine in text
        assert place.hers not in text
    assert place.me.get(usage.format("-"), params={"model": f"{place.hers}/m"}).json()["data"] == []
    assert place.me.get(usage.format(place.hers)).status_code == 403
    assert place.hers not in place.admin.get(f"{usage.format('-')}:export").text
    assert place.me.get("/metrics").status_code == 403
