"""Reading: what a repository is, its tree in pages, and its bytes with the headers that the clients' caches need."""

import hashlib

import pytest

from tests.hub.conftest import HF, Hub

LARGE = b"\0" * ((1 << 20) + 1)


def test_a_file_is_read_with_what_a_cache_needs(hub: Hub) -> None:
    commit = hub.put({"a.txt": b"0123456789"})

    head = hub.http.head(f"{HF}/{hub.repository}/resolve/main/a.txt")

    assert head.status_code == 200
    assert head.headers["x-repo-commit"] == commit
    assert head.headers["content-length"] == head.headers["x-linked-size"] == "10"
    assert head.headers["x-linked-etag"] == f'"{hashlib.sha1(b"blob 10" + bytes(1) + b"0123456789").hexdigest()}"'
    assert hub.read("a.txt").content == b"0123456789"
    part = hub.read("a.txt", range="bytes=2-4")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


def test_a_large_file_is_known_by_its_sha256_everywhere(hub: Hub) -> None:
    hub.put({"w.bin": LARGE})
    digest = hashlib.sha256(LARGE).hexdigest()

    (entry,) = hub.http.get(f"{hub.api}/tree/main").json()
    (sibling,) = hub.http.get(hub.api, params={"blobs": "true"}).json()["siblings"]

    assert entry["lfs"]["oid"] == sibling["lfs"]["sha256"] == digest
    assert hub.read("w.bin").headers["x-linked-etag"] == f'"{digest}"'


def test_models_and_datasets_are_the_same_filesets(hub: Hub) -> None:
    hub.put({"a.txt": b"one"})

    assert hub.http.get(f"{HF}/api/datasets/{hub.repository}").json()["id"] == hub.repository
    assert hub.http.get(f"{HF}/datasets/{hub.repository}/resolve/main/a.txt").content == b"one"


def test_a_tree_is_shown_folder_by_folder_or_whole(hub: Hub) -> None:
    hub.put({"a.txt": b"1", "m/n/o.txt": b"2", "m/p.txt": b"3", "z.txt": b"4"})

    def paths(path: str, **query: str) -> list[tuple[str, str]]:
        answer = hub.http.get(f"{hub.api}/tree/main{path}", params=query)
        return [(one["type"][0], one["path"]) for one in answer.json()]

    assert paths("") == [("f", "a.txt"), ("d", "m"), ("f", "z.txt")]
    assert paths("/m") == [("d", "m/n"), ("f", "m/p.txt")]
    assert paths("/m", recursive="true") == [("d", "m/n"), ("f", "m/n/o.txt"), ("f", "m/p.txt")]
    assert paths("", recursive="true") == [
        ("f", "a.txt"),
        ("d", "m"),
        ("d", "m/n"),
        ("f", "m/n/o.txt"),
        ("f", "m/p.txt"),
        ("f", "z.txt"),
    ]


@pytest.mark.parametrize("recursive", ["true", "false"])
def test_a_walk_by_pages_shows_every_entry_once(hub: Hub, recursive: str) -> None:
    files = {f"d{number % 7}/{number % 3}/f{number}.txt": b"x" for number in range(130)}
    files |= {f"top{number}.txt": b"x" for number in range(120)}
    hub.put(files)

    found: list[str] = []
    url = f"{hub.api}/tree/main?expand=true&recursive={recursive}"
    while url:
        answer = hub.http.get(url)
        found += [one["path"] for one in answer.json()]
        assert len(answer.json()) <= 103
        url = answer.links["next"]["url"] if "next" in answer.links else ""

    folders = {f"d{number}" for number in range(7)}
    if recursive == "true":
        folders |= {path.rpartition("/")[0] for path in files if "/" in path}
        wanted = set(files) | folders
    else:
        wanted = {path for path in files if "/" not in path} | folders
    assert sorted(found) == sorted(wanted)


def test_paths_are_looked_up_by_a_form_or_by_json(hub: Hub) -> None:
    commit = hub.put({"a.txt": b"1", "m/n.txt": b"2"})
    wanted = [("a.txt", "file"), ("m", "directory")]

    form = hub.http.post(f"{hub.api}/paths-info/main", data={"paths": ["a.txt", "m", "no", "../x"], "expand": "true"})
    json = hub.http.post(f"{hub.api}/paths-info/{commit}", json={"paths": ["a.txt", "m"]})

    assert [(one["path"], one["type"]) for one in form.json()] == wanted
    assert [(one["path"], one["type"]) for one in json.json()] == wanted
    assert form.json()[0]["lastCommit"]["id"] == commit


@pytest.mark.parametrize("body", [b'{"paths": 1}', b'{"paths": [1]}', b"[]", b"{"])
def test_paths_that_are_none_are_refused(hub: Hub, body: bytes) -> None:
    answer = hub.http.post(f"{hub.api}/paths-info/main", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400


def test_sizes_refs_and_lists(hub: Hub) -> None:
    commit = hub.put({"a.txt": b"123", "m/n.txt": b"45"})
    workspace = hub.repository.partition("/")[0]

    assert hub.http.get(f"{hub.api}/treesize/main").json()["size"] == 5
    assert hub.http.get(f"{hub.api}/treesize/main/m").json()["size"] == 2
    assert hub.http.get(f"{hub.api}/refs").json()["branches"][0]["targetCommit"] == commit
    listed = hub.http.get(f"{HF}/api/models", params={"author": workspace, "search": "rep"}).json()
    assert [(one["id"], one["sha"]) for one in listed] == [(hub.repository, commit)]
    assert hub.http.get(f"{HF}/api/models", params={"author": workspace, "search": "nothing"}).json() == []
    assert hub.http.get(f"{HF}/api/datasets", params={"author": workspace}).json() == []


def test_history_comes_in_pages(hub: Hub) -> None:
    made = [hub.put({"a.txt": b"%d" % number}) for number in range(101)]

    first = hub.http.get(f"{hub.api}/commits/main")
    second = hub.http.get(first.links["next"]["url"])

    shown = [one["id"] for one in first.json() + second.json()]
    assert shown[:-1] == made[::-1]
    assert len(shown) == 102  # the last is the empty state


def test_the_routes_are_not_in_the_document(hub: Hub) -> None:
    assert not [path for path in hub.http.get("/openapi.json").json()["paths"] if path.startswith(HF)]
