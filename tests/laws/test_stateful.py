"""A server beside a model of it that is a dict: whatever is made, changed and deleted, both say the same."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.api.paths import WORKSPACES, models, projects

_runs = count(1)
_KEPT = ("description", "custom_fields", "project")

places = st.sampled_from(["left", "right"])
names = st.sampled_from(["one", "two", "three"])
descriptions = st.sampled_from(["", "a", "b"])
believes = st.sampled_from(["nothing", "nothing", "truth", "anything", "falsehood"])
changes = st.fixed_dictionaries(
    {},
    optional={
        "description": descriptions | st.none(),
        "custom_fields": st.dictionaries(st.sampled_from("xy"), st.sampled_from([0, 1, True, None]), max_size=2),
        "project": st.sampled_from(["pa", "pb", ""]) | st.none(),
    },
)


@dataclass
class Record:
    """What we know of a record."""

    fields: dict[str, Any]
    etag: str
    revision: int = 1


@dataclass
class World:
    """What we know of the server: records by path."""

    workspaces: dict[str, Record] = field(default_factory=dict)
    projects: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)


class Registry(RuleBasedStateMachine):
    """Two workspaces, each with a few projects and models."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self.http = http
        self.run = next(_runs)
        self.world = World()
        self.stale = '"gone.1"'

    def _home(self, place: str) -> str:
        return f"state-{self.run}-{place}"

    def _headers(self, belief: str, there: Record | None) -> dict[str, str]:
        truth = there.etag if there else self.stale
        values = {"truth": truth, "anything": "*", "falsehood": self.stale}
        return {"If-Match": values[belief]} if belief in values else {}

    def _refused(self, answer: httpx.Response, belief: str, there: Record | None, wants: tuple[str, ...]) -> bool:
        """Whether the condition did not hold, which the answer must then say."""
        if belief == "nothing" or (there and belief in wants):
            return False
        assert answer.status_code == 412, answer.text
        assert answer.headers.get("etag") == (there.etag if there else None)
        return True

    def _create(self, path: str, known: dict[str, Record], name: str, body: dict[str, Any]) -> httpx.Response:
        answer = self.http.post(path, json={"name": name, **body})
        item = f"{path}/{name}"
        if answer.status_code == 201:
            assert item not in known
            known[item] = Record(_fields(answer), answer.headers["etag"])
        return answer

    def _update(self, method: str, item: str, known: dict[str, Record], body: dict[str, Any], belief: str) -> None:
        there = known.get(item)
        answer = self.http.request(method, item, json=body, headers=self._headers(belief, there))
        if self._refused(answer, belief, there, ("truth", "anything")):
            return
        if there is None:
            assert answer.status_code == 404
            return
        project = body.get("project")
        if project and f"{projects(item.split('/')[5])}/{project}" not in self.world.projects:
            assert answer.status_code == 422
            return
        assert answer.status_code == 200, answer.text
        for key, value in body.items():
            if value is not None:
                there.fields[key] = None if (key, value) == ("project", "") else value
        before = there.revision
        there.revision = answer.json()["revision"]
        assert there.revision in {before, before + 1}
        if there.revision == before:
            assert answer.headers["etag"] == there.etag
        else:
            assert answer.headers["etag"] != there.etag
            self.stale, there.etag = there.etag, answer.headers["etag"]
        assert repr(_fields(answer)) == repr(there.fields)

    def _delete(self, item: str, known: dict[str, Record], belief: str) -> bool:
        there = known.get(item)
        answer = self.http.delete(item, headers=self._headers(belief, there))
        if self._refused(answer, belief, there, ("truth", "anything")):
            return False
        assert answer.is_success if there else answer.status_code == 404
        if there:
            self.stale = known.pop(item).etag
        return bool(there)

    @rule(place=places, description=descriptions)
    def make_a_workspace(self, place: str, description: str) -> None:
        taken = f"{WORKSPACES}/{self._home(place)}" in self.world.workspaces
        answer = self._create(WORKSPACES, self.world.workspaces, self._home(place), {"description": description})
        assert answer.status_code == (409 if taken else 201)

    @rule(place=places, body=changes, belief=believes)
    def change_a_workspace(self, place: str, body: dict[str, Any], belief: str) -> None:
        body = {key: body[key] for key in body if key == "description"}
        self._update("PUT", f"{WORKSPACES}/{self._home(place)}", self.world.workspaces, body, belief)

    @rule(place=places, belief=believes)
    def delete_a_workspace(self, place: str, belief: str) -> None:
        home = self._home(place)
        if self._delete(f"{WORKSPACES}/{home}", self.world.workspaces, belief):
            for known in (self.world.projects, self.world.models):
                for item in [item for item in known if f"/{home}/" in item]:
                    self.stale = known.pop(item).etag

    @precondition(lambda self: self.world.workspaces)
    @rule(place=places, name=st.sampled_from(["pa", "pb"]))
    def make_a_project(self, place: str, name: str) -> None:
        self._make(projects(self._home(place)), place, self.world.projects, name, {"description": "p"})

    @rule(place=places, name=st.sampled_from(["pa", "pb"]), belief=believes)
    def delete_a_project(self, place: str, name: str, belief: str) -> None:
        item = f"{projects(self._home(place))}/{name}"
        if self._delete(item, self.world.projects, belief):
            for path, model in self.world.models.items():
                if path.startswith(models(self._home(place))) and model.fields["project"] == name:
                    model.fields["project"] = None
                    model.revision += 1
                    self.stale, model.etag = model.etag, self.http.get(path).headers["etag"]

    @precondition(lambda self: self.world.workspaces)
    @rule(place=places, name=names, body=changes)
    def make_a_model(self, place: str, name: str, body: dict[str, Any]) -> None:
        self._make(models(self._home(place)), place, self.world.models, name, body)

    def _make(self, path: str, place: str, known: dict[str, Record], name: str, body: dict[str, Any]) -> None:
        taken = f"{path}/{name}" in known
        answer = self._create(path, known, name, body)
        home = f"{WORKSPACES}/{self._home(place)}" in self.world.workspaces
        project = body.get("project")
        if not home:
            assert answer.status_code == 422
        elif taken:
            assert answer.status_code in {409, 422}  # a project that is not there may be told first
        elif project and f"{projects(self._home(place))}/{project}" not in self.world.projects:
            assert answer.status_code == 422
        else:
            assert answer.status_code == 201, answer.text
            sent = {key: value for key, value in body.items() if value not in (None, "") or key == "description"}
            assert _fields(answer) == {**_fields(answer), **sent}

    @rule(place=places, name=names, body=changes, belief=believes)
    def change_a_model(self, place: str, name: str, body: dict[str, Any], belief: str) -> None:
        self._update("PATCH", f"{models(self._home(place))}/{name}", self.world.models, body, belief)

    @rule(place=places, name=names, belief=believes)
    def delete_a_model(self, place: str, name: str, belief: str) -> None:
        self._delete(f"{models(self._home(place))}/{name}", self.world.models, belief)

    @rule(place=places, name=names)
    def read_a_model(self, place: str, name: str) -> None:
        item = f"{models(self._home(place))}/{name}"
        answer, there = self.http.get(item), self.world.models.get(item)
        assert answer.status_code == (200 if there else 404)
        if there:
            assert (answer.headers["etag"], answer.json()["revision"]) == (there.etag, there.revision)
            assert repr(_fields(answer)) == repr(there.fields)
            assert self.http.get(item, headers={"If-None-Match": there.etag}).status_code == 304

    @invariant()
    def lists_show_what_is_there(self) -> None:
        for place in ("left", "right"):
            for path, known in (
                (projects(self._home(place)), self.world.projects),
                (models(self._home(place)), self.world.models),
            ):
                body = self.http.get(path, params={"sort": "name"}).json()
                there = sorted(item.rpartition("/")[2] for item in known if item.startswith(f"{path}/"))
                assert [row["name"] for row in body["data"]] == there
                assert body["pagination"]["total_results"] == len(there)

    def teardown(self) -> None:
        for item in self.world.workspaces:
            assert self.http.delete(item).status_code == 200


def _fields(answer: httpx.Response) -> dict[str, Any]:
    document = answer.json()
    return {key: document[key] for key in _KEPT if key in document}


def test_the_registry_is_a_dict(http: httpx.Client) -> None:
    class Served(Registry):
        def __init__(self) -> None:
            super().__init__(http)

    run_state_machine_as_test(Served, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
