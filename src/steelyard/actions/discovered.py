"""What is written of a provider that has been asked: its status, its list, and the records of the models in it.

Nothing is written where nothing has changed, so that asking leaves no trace in the history.
"""

from collections.abc import Sequence
from typing import NamedTuple

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.models import create_model
from steelyard.actions.providers import provider_rules
from steelyard.actions.virtual_models import create_virtual_model
from steelyard.records.conditions import NONE
from steelyard.records.discovery import Listed, Reading, backend_format, bases_of, entries, read_served, ready_message
from steelyard.records.kinds import Document, Fields, Kind, Row
from steelyard.records.model_names import parse_model_name
from steelyard.records.models import MODEL
from steelyard.records.names import Reference, is_narrow_name
from steelyard.records.patch import changed_fields
from steelyard.records.providers import MODEL_PROVIDER, ModelProviderStatus
from steelyard.records.virtual_models import VIRTUAL_MODEL, candidates
from steelyard.store.protocol import ReadTransaction, WriteTransaction
from steelyard.store.queries import Query

GONE = frozenset({ModelProviderStatus.DELETING.value, ModelProviderStatus.DELETED.value})
ASKED_BY = (
    *("host_url", "api_key_secret_name", "auth_header_format", "enabled_models"),
    *("default_extra_headers", "required_extra_headers"),
)
"""The fields that decide how a provider is asked, and what is made of its answer."""

READY = ModelProviderStatus.READY.value
_ERROR = ModelProviderStatus.ERROR.value
_ANSWERS = "The provider answers requests"
_PAGE = 500


class Outcome(NamedTuple):
    """What came of asking: a list (None: the provider has none), or a failure; `in_error` says that it lasts."""

    listed: Sequence[Listed] | None
    failure: str | None = None
    in_error: bool = False


class _Plan(NamedTuple):
    """What is to be written: the provider's fields, and the models to make and to give a route, with their ids."""

    fields: Fields
    make: list[tuple[Reference, str]] = []  # noqa: RUF012 - never changed in place
    routes: list[Reference] = []  # noqa: RUF012

    def changes(self, row: Row) -> bool:
        """Whether it is any more than what there is."""
        return bool(self.make or self.routes or changed_fields(row.fields, self.fields))


async def settle(context: Context, asked: Row, outcome: Outcome) -> None:
    """Makes the records say what came of asking the provider `asked`, unless its record is another by now."""

    async def look(tx: ReadTransaction) -> bool:
        row = await _present(tx, asked)
        return row is not None and (await _plan(tx, row, outcome)).changes(row)

    async def write(tx: WriteTransaction) -> None:
        row = await _present(tx, asked)
        if row is not None:
            await _follow(tx, context, row, await _plan(tx, row, outcome))

    if await context.store.scan(look):
        await context.store.write(write, heavy=True)


async def revive(context: Context, known: Row) -> None:
    """Marks a provider as READY that has answered a request."""

    async def write(tx: WriteTransaction) -> None:
        row = await _present(tx, known)
        if row is not None and row.fields["status"] != READY:
            fields = {**row.fields, "status": READY, "status_message": _ANSWERS}
            await _change(tx, context, row, fields, "it has answered a request")

    await context.store.write(write)


async def remove_orphans(context: Context) -> None:
    """Removes the virtual models that were made for models which nobody serves any more."""

    async def write(tx: WriteTransaction) -> None:
        for row in await _orphans(tx):
            await tx.delete(row, _caller("nobody serves its model any more").note("delete", context.now()))

    if await context.store.scan(_orphans):
        await context.store.write(write, heavy=True)


async def all_rows(tx: ReadTransaction, kind: Kind) -> list[Row]:
    """All records of a kind."""
    found: list[Row] = []
    after: tuple[str, str] | None = None
    while True:
        rows = await tx.select(Query(kind.name, None, "created_at", descending=False, limit=_PAGE, after=after))
        found += rows
        if len(rows) < _PAGE:
            return found
        after = (rows[-1].created_at, rows[-1].id)


async def _present(tx: ReadTransaction, asked: Row) -> Row | None:
    """The record as it is now; None if it is gone, or would be asked otherwise than it was."""
    row = await tx.find(MODEL_PROVIDER.name, asked.workspace, asked.name)
    if row is None or row.id != asked.id or row.fields["status"] in GONE:
        return None
    return row if all(row.fields[field] == asked.fields[field] for field in ASKED_BY) else None


async def _plan(tx: ReadTransaction, row: Row, outcome: Outcome) -> _Plan:
    if outcome.failure is not None:
        lasts = outcome.in_error or row.fields["status"] == _ERROR
        return _Plan(_said(row, _ERROR, outcome.failure) if lasts else row.fields)
    if outcome.listed is None:
        return _Plan(_said(row, READY, ready_message(None)))
    reading = await _read(tx, row, outcome.listed)
    served, fields = entries(reading.served), row.fields
    if fields["status"] != READY or fields["served_models"] != served:
        said = {"status": READY, "status_message": ready_message(reading), "served_models": served}
        fields = {**fields, **said}
    make: list[tuple[Reference, str]] = []
    routes: list[Reference] = []
    for one in reading.served:
        model = one.model
        if not await tx.exists(MODEL.name, model.workspace, model.name):
            make.append((model, one.id))
        routable = one.name.adapter is None and is_narrow_name(model.name)
        if routable and not await tx.exists(VIRTUAL_MODEL.name, model.workspace, model.name):
            routes.append(model)
    return _Plan(fields, make, routes)


def _said(row: Row, status: str, message: str) -> Fields:
    # A message alone is no reason to write, but for one that says what else is wrong by now.
    if row.fields["status"] == status and status != _ERROR:
        return row.fields
    return {**row.fields, "status": status, "status_message": message}


async def _read(tx: ReadTransaction, row: Row, listed: Sequence[Listed]) -> Reading:
    adapters: dict[Reference, list[Document]] = {}
    for base in bases_of(listed, row.workspace):
        model = await tx.find(MODEL.name, base.workspace, base.name)
        adapters[base] = model.fields["adapters"] if model else []
    return read_served(listed, row.workspace, row.fields["enabled_models"], lambda base: adapters.get(base, []))


def _models(served: Sequence[Document], workspace: str) -> set[Reference]:
    names = (parse_model_name(one["model_entity_id"], workspace) for one in served)
    return {name.base for name in names if name}


async def _follow(tx: WriteTransaction, context: Context, row: Row, plan: _Plan) -> None:
    home = str(_home(row))
    why = f"the provider {home} has been asked for its models"
    for reference, id in plan.make:
        body: Fields = {
            "name": reference.name,
            "description": f"Found at the model provider {home}, which calls it {id}",
            "backend_format": backend_format(id).value,
            "model_providers": [home],
        }
        await create_model(context, _caller(why), reference.workspace, body, NONE).run(tx)
    for reference in plan.routes:
        made: Fields = {"name": reference.name, "default_model_entity": str(reference), "autoprovisioned": True}
        route = create_virtual_model(context, _caller(why), reference.workspace, made, NONE, by_server=True)
        await route.run(tx)
    await _change(tx, context, row, plan.fields, "it has been asked for its models")


async def _change(tx: WriteTransaction, context: Context, row: Row, fields: Fields, why: str) -> None:
    # The rules tell the models that it serves newly, or no more.
    await writes.change_fields(tx, context, _caller(why), MODEL_PROVIDER, row, fields, provider_rules, stored_form=True)


async def _orphans(tx: ReadTransaction) -> list[Row]:
    """The virtual models of our making that lead to nothing, and that nobody has made more of."""
    made = [row for row in await all_rows(tx, VIRTUAL_MODEL) if row.fields["autoprovisioned"] and _is_plain(row.fields)]
    if not made:
        return []
    served: set[Reference] = set()
    for row in await all_rows(tx, MODEL_PROVIDER):
        if row.fields["status"] not in GONE:
            served |= _models(row.fields["served_models"], row.workspace)
    return [
        row for row in made if not served & _models([{"model_entity_id": candidates(row.fields)[0]}], row.workspace)
    ]


def _is_plain(fields: Fields) -> bool:
    return len(candidates(fields)) == 1 and not fields["fallbacks"] and not fields["sticky"]


def _home(row: Row) -> Reference:
    return Reference(row.workspace, row.name)


def _caller(why: str) -> Caller:
    return Caller(reason=why)
