"""Records of every kind that changes are said to: as pure functions make them, and on a real server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import httpx
from hypothesis import strategies as st

from steelyard.actions.hidden import load_content, seal_secrets, store_contents
from steelyard.auth.master_keys import KeyRing
from steelyard.auth.vault import Vault
from steelyard.errors import SteelyardError
from steelyard.records.documents import content_digests, visible, whole
from steelyard.records.kinds import Document, Kind, Row
from steelyard.records.models import MODEL
from steelyard.records.patch import (
    DocumentChange,
    Said,
    apply_change,
    apply_document,
    check_echoes,
    read_change,
    read_new,
)
from steelyard.records.policy import Policy
from steelyard.records.prompts import PROMPT
from steelyard.records.workspaces import PROJECT, WORKSPACE
from steelyard.store.sqlite_writer import finish
from tests.api.paths import WORKSPACES, models, projects, prompts
from tests.change import values

MEDIA_TYPES = {
    "fields": "application/json",
    "merge": "application/merge-patch+json",
    "json_patch": "application/json-patch+json",
}
STAMPS = (
    "id",
    "name",
    "workspace",
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
    "revision",
    "adapters",
    "frozen",
    # Written by the server, with the time: where the spec comes from, and who trusted the code when.
    "spec_origin",
    "trust_decision",
)
POLICY = Policy()
_numbers = count(1)


@dataclass(frozen=True)
class Sort:
    """One kind of record: where it stands, and of what values its fields can be."""

    kind: Kind
    path: Callable[[str], str]
    fields: Mapping[str, st.SearchStrategy[Any]]
    puts: bool = True

    @property
    def records(self) -> st.SearchStrategy[Document]:
        """What a new record may be made of, but for its name."""
        return st.fixed_dictionaries({}, optional=dict(self.fields))

    @property
    def patches(self) -> st.SearchStrategy[Document]:
        """Merge patches: some fields cleared, some set, objects in part."""
        parts = values.PARTS if self.kind is MODEL else {}
        choices = {key: st.none() | value | parts.get(key, st.none()) for key, value in self.fields.items()}
        return st.fixed_dictionaries({}, optional=choices)

    def __repr__(self) -> str:
        return self.kind.name


MODELS = Sort(MODEL, models, values.MODEL_FIELDS, puts=False)
PROMPTS = Sort(PROMPT, prompts, values.PROMPT_FIELDS)
PROJECTS = Sort(PROJECT, projects, {"description": values.texts})
OWN_WORKSPACES = Sort(WORKSPACE, lambda _: WORKSPACES, {"description": values.texts})
SORTS = (MODELS, PROMPTS, PROJECTS, OWN_WORKSPACES)


class Refused(Exception):
    """A change that was not taken; its argument is the status."""


class Record(Protocol):
    """One record."""

    def change(self, said: Said) -> Document:
        """Changes it, and answers it. Raises Refused."""

    def get(self) -> Document:
        """As it is, with its large values."""


Make = Callable[[Sort, Document], Record]


class _Contents(dict[str, bytes]):
    """What the functions that store large values need of a transaction."""

    async def put_content(self, digest: str, body: bytes) -> None:
        self[digest] = body

    async def content(self, digest: str) -> bytes | None:
        return self.get(digest)


class PureRecord:
    """A record that nothing but functions without a database or a clock change."""

    def __init__(self, sort: Sort, body: Document) -> None:
        self._kind, self._contents, self._vault = sort.kind, _Contents(), Vault(KeyRing(b"k" * 32))
        home = "" if sort.kind is WORKSPACE else "home"
        try:
            _, change = read_new(sort.kind, {**body, "name": "one"}, home, "refuse")
        except SteelyardError as error:
            raise Refused(error.status) from error
        row = Row(sort.kind.name, "id-1", home, "one", 1, "1", "1", {})
        self.row = row._replace(fields=self._stored(row, dict(change.values)))

    def _stored(self, row: Row, fields: Document) -> Document:
        sealed = seal_secrets(self._kind, self._vault, row.id, row.fields, fields)
        return finish(store_contents(self._contents, self._kind, sealed))  # type: ignore[arg-type]

    def _large(self) -> dict[str, Any]:
        digests = content_digests(self._kind, self.row.fields)
        return {digest: finish(load_content(self._contents, digest)) for digest in digests}

    def change(self, said: Said) -> Document:
        row = self.row
        try:
            change = read_change(self._kind, said, row.workspace, row.name, POLICY)
            if isinstance(change, DocumentChange):
                base = whole(self._kind, row, contents=self._large())
                fields = apply_document(self._kind, row, base, change, POLICY)
            else:
                check_echoes(self.get(), change.echoes)
                fields = apply_change(self._kind, row, change)
            self.row = row._replace(fields=self._stored(row, fields))
        except SteelyardError as error:
            raise Refused(error.status) from error
        return self.get()

    def get(self) -> Document:
        return visible(self._kind, self.row, contents=self._large())


class ServedRecord:
    """A record of a real server."""

    def __init__(self, http: httpx.Client, home: str, sort: Sort, body: Document) -> None:
        self._http = http
        self.name = f"record-{next(_numbers)}"
        self.path = f"{sort.path(home)}/{self.name}"
        self._shown = {"verbose": "true"} if sort.kind is MODEL else {}
        created = http.post(sort.path(home), json={**body, "name": self.name})
        if created.status_code == 422:
            raise Refused(422)
        assert created.status_code == 201, created.text

    def change(self, said: Said) -> Document:
        answer = self.send(said)
        if answer.status_code in {400, 403, 412, 422}:
            raise Refused(answer.status_code)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def send(self, said: Said, **query: str) -> httpx.Response:
        """The same, and whatever the answer is."""
        query |= self._shown | ({"update_mask": said.mask} if said.mask is not None else {})
        headers = {"Content-Type": MEDIA_TYPES[said.dialect]}
        return self._http.request(
            "PUT" if said.put else "PATCH", self.path, params=query, json=said.body, headers=headers
        )

    def get(self) -> Document:
        return dict(self._http.get(self.path, params=self._shown).json())


def fields_of(document: Document) -> Document:
    """A document without what the server stamps on it."""
    return {key: value for key, value in document.items() if key not in STAMPS}
