"""What the laws are held against: the pure functions of records/patch.py, and a real server."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

import httpx

from steelyard.errors import SteelyardError
from steelyard.records.kinds import Row
from steelyard.records.models import MODEL
from steelyard.records.patch import apply_change, changed_fields, check_echoes, read_new, read_update
from tests.api.paths import models

Document = dict[str, Any]
# The decision about trust holds the time at which it was made.
STAMPS = ("id", "name", "created_at", "updated_at", "revision", "trust_decision")
_numbers = count(1)


class Refused(Exception):
    """A change that was not taken."""


class Subject(Protocol):
    """One model."""

    def patch(self, body: Document) -> Document:
        """Changes the model, and answers it. Raises Refused."""

    def get(self, *, verbose: bool = True) -> Document:
        """The model as it is."""


Make = Callable[[Document], Subject]


class PureModel:
    """A model that nothing but the functions of records/patch.py changes. Its clock is its revision."""

    def __init__(self, body: Document) -> None:
        _, change = read_new(MODEL, {**body, "name": "m"}, "home", "refuse")
        self._row = _row(1, dict(change.values))

    def patch(self, body: Document) -> Document:
        try:
            change = read_update(MODEL, body, "home", "m", "refuse")
            check_echoes(self.get(), change.echoes)
            fields = apply_change(MODEL, self._row, change)
        except SteelyardError as error:
            raise Refused from error
        if changed_fields(self._row.fields, fields):
            self._row = _row(self._row.revision + 1, fields)
        return self.get()

    def get(self, *, verbose: bool = True) -> Document:
        row = self._row
        document = {"id": row.id, "name": row.name, "workspace": row.workspace, "adapters": [], **row.fields}
        document |= {"created_at": row.created_at, "updated_at": row.updated_at, "revision": row.revision}
        if document["spec"] and not verbose:
            document["spec"] = {**document["spec"], "linear_layers": None}
        return document


def _row(revision: int, fields: Document) -> Row:
    return Row(
        kind="model",
        id="model-pure",
        workspace="home",
        name="m",
        revision=revision,
        created_at="1",
        updated_at=str(revision),
        fields=fields,
    )


class ServedModel:
    """A model of a real server."""

    def __init__(self, http: httpx.Client, workspace: str, body: Document) -> None:
        self._http = http
        name = f"law-{next(_numbers)}"
        self.path = f"{models(workspace)}/{name}"
        created = http.post(models(workspace), json={**body, "name": name})
        assert created.status_code == 201, created.text

    def patch(self, body: Document) -> Document:
        answer = self._http.patch(self.path, params={"verbose": "true"}, json=body)
        if answer.status_code in {400, 403, 412, 422}:
            raise Refused
        assert answer.status_code == 200, answer.text
        return self._shown(answer)

    def get(self, *, verbose: bool = True) -> Document:
        return self._shown(self._http.get(self.path, params={"verbose": str(verbose).lower()}))

    def _shown(self, answer: httpx.Response) -> Document:
        document: Document = answer.json()
        assert answer.headers["etag"] == f'"{document["id"]}.{document["revision"]}"'
        return document


def fields_of(document: Document) -> Document:
    """A document without what the server stamps on it."""
    return {key: value for key, value in document.items() if key not in STAMPS}


def spelled(value: Any) -> str:
    """JSON that is the same for the same value only: 1, 1.0 and true are three."""
    return json.dumps(value, sort_keys=True)
