"""Reads who serves a model: all that the gateway needs to know of a name, in one view of the records.

A name is that of a virtual model, a model, an alias, or an adapter of a model (`base&adapters/workspace/adapter`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from steelyard.actions.context import Context
from steelyard.actions.records import find_named, missing, past_row
from steelyard.actions.references import ancestors
from steelyard.actions.secrets import open_value
from steelyard.auth.vault import Sealer
from steelyard.errors import Conflict, NotFound, UnreadableSecret
from steelyard.records.adapters import ADAPTER, base_of
from steelyard.records.inference import BackendFormat
from steelyard.records.kinds import Row
from steelyard.records.limits import LIMIT
from steelyard.records.models import MODEL
from steelyard.records.names import REFERENCE_RULE, Reference, parse_reference
from steelyard.records.providers import MODEL_PROVIDER, parse_auth_header
from steelyard.records.secrets import SECRET
from steelyard.records.serving import Served, ServedBy, Serving
from steelyard.records.virtual_models import VIRTUAL_MODEL
from steelyard.store.protocol import ReadTransaction
from steelyard.store.queries import Key, Query

ADAPTERS = "&adapters/"
_GONE = frozenset({"DELETING", "DELETED"})
_MANY = 10_000
_DEFAULT_AUTH = "Authorization: Bearer {{ auth_secret }}"
_ANTHROPIC_AUTH = "x-api-key: {{ auth_secret }}"


class Reading:
    """One reading; `models` gathers the models that its outcome depends on, whether they are here or not.

    (What else it depends on changes so seldom that nobody needs to know which records exactly.)
    """

    def __init__(self, context: Context, tx: ReadTransaction) -> None:
        self._vault: Sealer = context.vault
        self._tx = tx
        self.models: set[Key] = set()
        self._home = self._asked = ""

    async def serving(self, home: str, text: str) -> Serving:
        """What `text` stands for, a bare name being of the workspace `home`. Raises NotFound, Conflict."""
        base, between, adapter = text.partition(ADAPTERS)
        reference = parse_reference(base, home)
        if reference is None:
            raise NotFound(f"{text[:200]!r} is not the name of a model: {REFERENCE_RULE}")
        workspace, name = reference.workspace, reference.name
        self._home, self._asked = workspace, f"{workspace}/{name}"
        virtual = None if between else await self._tx.find(VIRTUAL_MODEL.name, workspace, name)
        fallbacks: tuple[Served, ...] = ()
        if virtual is not None:
            candidates, fallbacks = await self._chosen(virtual)
        else:
            candidates = (await self._model(reference, adapter=adapter if between else None),)
        home_row = await self._tx.find("workspace", "", workspace)
        return Serving(
            f"{workspace}/{name}{between}{adapter}",
            workspace,
            candidates,
            fallbacks,
            virtual.fields["sticky"] if virtual else None,
            await self._limits(workspace),
            home_row.fields.get("recording") if home_row else None,
            virtual=virtual is not None,
        )

    async def provider(self, workspace: str, name: str) -> tuple[ServedBy, tuple[Row, ...]]:
        """A provider by itself, and the limits of its workspace. Raises NotFound."""
        row = await self._tx.find(MODEL_PROVIDER.name, workspace, name)
        if row is None:
            raise missing(MODEL_PROVIDER, workspace, name)
        return await self._served_by(row, ""), await self._limits(workspace)

    async def _limits(self, workspace: str) -> tuple[Row, ...]:
        return tuple(await self._tx.select(Query(LIMIT.name, workspace, "created_at", descending=False, limit=_MANY)))

    async def _chosen(self, virtual: Row) -> tuple[tuple[Served, ...], tuple[Served, ...]]:
        """The models that answer for a virtual model, and those to fall back to.

        What is missing among them, or served by nobody, is left out as long as another is served. Raises NotFound,
        Conflict where there is none at all.
        """
        entries: list[Mapping[str, Any]] = virtual.fields["models"]
        by_name = {entry["model"]: entry for entry in entries}
        wanted = [entry for entry in entries if entry.get("weight")]
        if not wanted:
            default = virtual.fields["default_model_entity"] or next(iter(by_name), None)
            if default is None:
                raise NotFound(f"the virtual model {virtual.workspace}/{virtual.name} names no model")
            wanted = [{**by_name.get(default, {"model": default}), "weight": 1}]
        falls = [{**by_name.get(name, {"model": name}), "weight": 1} for name in virtual.fields["fallbacks"] or ()]
        candidates, wrong = await self._present(virtual, wanted)
        fallbacks, _ = await self._present(virtual, falls)
        candidates = [one for one in candidates if one.by] or candidates
        if candidates:
            return tuple(candidates), tuple(fallbacks)
        if not fallbacks:
            raise wrong[0]
        return (fallbacks[0],), tuple(fallbacks[1:])

    async def _present(
        self, virtual: Row, entries: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Served], list[NotFound | Conflict]]:
        """Those of the models that can be read, and what is wrong with the others."""
        found, wrong = list[Served](), list[NotFound | Conflict]()
        for entry in entries:
            try:
                found.append(await self._entry(virtual, entry))
            except (NotFound, Conflict) as error:
                wrong.append(error)
        return found, wrong

    async def _entry(self, virtual: Row, entry: Mapping[str, Any]) -> Served:
        base, between, adapter = entry["model"].partition(ADAPTERS)
        reference = parse_reference(base, virtual.workspace)
        if reference is None:
            raise NotFound(f"the virtual model names {base[:200]!r}, which is no reference")
        return await self._model(
            reference,
            adapter=adapter if between else None,
            format=entry.get("backend_format"),
            weight=entry["weight"],
        )

    async def _model(
        self, reference: Reference, *, adapter: str | None = None, format: str | None = None, weight: int = 1
    ) -> Served:
        row = await self._find(reference)
        fields = row.fields
        if adapter is None:
            by = await self._served(row, format=format)
            dialect, asked = fields["backend_format"], Reference(row.workspace, row.name)
            if not by:
                by, dialect = await self._by_base(row)
            name = str(asked)
        else:
            name, by = await self._adapted(row, adapter)
            dialect = fields["backend_format"]
        return Served(
            name,
            row.etag,
            format or dialect or BackendFormat.OPENAI_CHAT,
            by,
            fields["prompt"],
            fields.get("pricing"),
            fields.get("routing"),
            weight,
        )

    async def _find(self, reference: Reference) -> Row:
        """The model that a reference names, or that its alias stands for, as it is or was. Raises NotFound."""
        self.models.add(Key(MODEL.name, reference.workspace, reference.name))
        row, pinned = await find_named(self._tx, MODEL, reference.workspace, reference.name)
        if row is not None:
            self.models.add(Key(MODEL.name, row.workspace, row.name))
            if pinned is not None:
                past = await self._tx.revision(row.id, pinned)
                row = await past_row(self._tx, past) if past and past.fields is not None else None
        if row is None:
            if reference.workspace != self._home:
                raise missing_elsewhere(self._asked)
            raise NotFound(f"the model {reference.name!r} does not exist in the workspace {reference.workspace!r}")
        return row

    async def _served(self, row: Row, served_as: str | None = None, format: str | None = None) -> tuple[ServedBy, ...]:
        """Who serves a model, under the name `served_as` where it is not its own: an adapter's.

        `format` is the dialect in which it is asked, where that is not the record's.
        """
        home = Reference(row.workspace, row.name)
        wanted = served_as or str(home)
        found: list[ServedBy] = []
        for provider in await self._providers(row, home):
            if provider.fields["status"] in _GONE:
                continue
            names = _served_names(provider)
            endpoint = row.fields["api_endpoint"] or {}
            name = names.get(wanted) or (None if served_as else endpoint.get("model_id") or row.name)
            if name is not None:
                found.append(await self._served_by(provider, name))
        if not found and served_as is None and row.fields["api_endpoint"] and row.fields["api_endpoint"]["url"]:
            found.append(self._endpoint(row, format or row.fields["backend_format"]))
        return tuple(found)

    async def _providers(self, row: Row, home: Reference) -> list[Row]:
        """The providers that the model's record names; where it names none, those which say that they serve it."""
        if not row.fields["model_providers"]:
            rows = await self._tx.referrers(MODEL.name, home, "", _MANY)
            named = {one.id: one for one, field in rows if one.kind == MODEL_PROVIDER.name and field == "served_models"}
            return sorted(named.values(), key=lambda one: (one.created_at, one.id))
        found = []
        for text in row.fields["model_providers"]:
            reference = parse_reference(text, row.workspace)
            one = await self._tx.find(MODEL_PROVIDER.name, *_parts(reference)) if reference else None
            if one is not None:
                found.append(one)
        return found

    async def _by_base(self, row: Row) -> tuple[tuple[ServedBy, ...], str | None]:
        """Who serves the nearest base model that is served, and in which dialect."""
        base = parse_reference(row.fields["base_model"] or "", row.workspace)
        if base is None:
            return (), row.fields["backend_format"]
        self.models.add(Key(MODEL.name, base.workspace, base.name))
        async for ancestor in ancestors(self._tx, base):
            self.models.add(Key(MODEL.name, ancestor.workspace, ancestor.name))
            found = await self._tx.find(MODEL.name, ancestor.workspace, ancestor.name)
            if found is not None and (by := await self._served(found)):
                return by, found.fields["backend_format"]
        return (), row.fields["backend_format"]

    async def _adapted(self, base: Row, text: str) -> tuple[str, tuple[ServedBy, ...]]:
        """An adapter's name, and who serves it. Raises NotFound, Conflict for one that is switched off."""
        reference = parse_reference(text, base.workspace)
        adapter = await self._tx.find(ADAPTER.name, *_parts(reference)) if reference else None
        home = Reference(base.workspace, base.name)
        if base.workspace != self._home and (
            adapter is None or base_of(adapter) != home or not adapter.fields["enabled"]
        ):
            raise missing_elsewhere(self._asked)
        if adapter is None or base_of(adapter) != home:
            raise NotFound(f"the model {str(home)!r} has no adapter {text[:200]!r}")
        name = f"{home}{ADAPTERS}{adapter.workspace}/{adapter.name}"
        if not adapter.fields["enabled"]:
            raise Conflict(f"the adapter {adapter.workspace}/{adapter.name} is switched off; enable it first")
        return name, await self._served(base, name)

    def _endpoint(self, row: Row, format: str | None) -> ServedBy:
        endpoint = row.fields["api_endpoint"]
        auth, fault = None, None
        if endpoint["api_key"]:
            anthropic = format == BackendFormat.ANTHROPIC_MESSAGES
            try:
                secret = self._vault.open(endpoint["api_key"], f"{row.id}:api_endpoint.api_key")
                auth = _auth(_ANTHROPIC_AUTH if anthropic else _DEFAULT_AUTH, secret)
            except UnreadableSecret as error:
                fault = f"the api_key of the endpoint: {error.message}"
        return ServedBy(
            f"{row.workspace}/{row.name} endpoint", endpoint["url"], endpoint["model_id"] or row.name, None, auth, fault
        )

    async def _served_by(self, provider: Row, served_name: str) -> ServedBy:
        fields = provider.fields
        auth, fault = None, None
        if secret_name := fields["api_key_secret_name"]:
            secret = await self._tx.find(SECRET.name, provider.workspace, secret_name)
            if secret is None:
                fault = f"the secret {secret_name!r} is not in the workspace {provider.workspace!r}"
            else:
                try:
                    auth = _auth(fields["auth_header_format"] or _DEFAULT_AUTH, open_value(self._vault, secret))
                except UnreadableSecret as error:
                    fault = f"the secret {secret_name!r}: {error.message}"
        key = f"{provider.workspace}/{provider.name}"
        return ServedBy(
            key,
            fields["host_url"],
            served_name,
            key,
            auth,
            fault,
            fields["status"],
            fields["weight"],
            fields["limits"],
            fields["timeouts"],
            fields["default_extra_headers"],
            fields["required_extra_headers"],
            fields["default_extra_body"],
            fields["required_extra_body"],
        )


def missing_elsewhere(name: str) -> NotFound:
    """The error of a name that stands for what is in another workspace, and not there, or not there for the caller."""
    return NotFound(f"what {name!r} stands for is not there")


def _parts(reference: Reference) -> tuple[str, str]:
    return reference.workspace, reference.name


def _auth(form: str, secret: str) -> tuple[str, str]:
    name, before, after = parse_auth_header(form)
    return name, f"{before}{secret}{after}"


def _served_names(provider: Row) -> dict[str, str]:
    """The names under which a provider serves models, by their whole references."""
    names = {}
    for entry in provider.fields["served_models"] or ():
        base, between, adapter = entry["model_entity_id"].partition(ADAPTERS)
        if reference := parse_reference(base, provider.workspace):
            names[f"{reference}{between}{adapter}"] = entry["served_model_name"]
    return names


async def read_serving(context: Context, home: str, text: str) -> tuple[Serving, frozenset[Key]]:
    """What a name stands for, and the models that this depends on. Raises NotFound, Conflict."""

    async def action(tx: ReadTransaction) -> tuple[Serving, frozenset[Key]]:
        reading = Reading(context, tx)
        serving = await reading.serving(home, text)
        return serving, frozenset(reading.models)

    return await context.store.read(action)


async def read_provider(context: Context, workspace: str, name: str) -> tuple[ServedBy, tuple[Row, ...]]:
    """A provider, as a place to send requests to, and the limits of its workspace. Raises NotFound."""

    async def action(tx: ReadTransaction) -> tuple[ServedBy, tuple[Row, ...]]:
        return await Reading(context, tx).provider(workspace, name)

    return await context.store.read(action)


May = Callable[[str], bool]
"""Whether somebody may ask the models of a workspace."""


def _is_asked(serving: Serving, may: May) -> bool:
    """Whether who may ask in those workspaces is answered: see `gateway/gateway.py`."""
    entries = (*serving.candidates, *serving.fallbacks)
    homes = {one.model.partition("/")[0] for one in entries}
    by = {by.key.partition("/")[0] for one in entries for by in one.by}
    return all(may(one) for one in homes - {serving.workspace}) and any(
        one == serving.workspace or may(one) for one in by
    )


async def list_served(context: Context, workspace: str | None, may: May) -> list[tuple[str, str]]:
    """The names that can be asked for, each with the time it was made: virtual models, and models that are served."""

    async def action(tx: ReadTransaction) -> list[tuple[str, str]]:
        reading = Reading(context, tx)
        found: dict[str, str] = {}
        for kind in (VIRTUAL_MODEL, MODEL):
            for row in await tx.select(Query(kind.name, workspace, "name", descending=False, limit=_MANY)):
                name = f"{row.workspace}/{row.name}"
                if name in found:
                    continue
                try:
                    serving = await reading.serving(row.workspace, row.name)
                except (NotFound, Conflict):
                    continue
                if _is_asked(serving, may):
                    found[name] = row.created_at
        return sorted(found.items())

    return await context.store.scan(action)


async def is_served(context: Context, home: str, name: str, may: May) -> tuple[str, str] | None:
    """The whole name of what can be asked for by `name`, and when it was made; None if nobody serves it."""

    async def action(tx: ReadTransaction) -> tuple[str, str] | None:
        try:
            serving = await Reading(context, tx).serving(home, name)
        except (NotFound, Conflict):
            return None
        if not _is_asked(serving, may):
            return None
        base = parse_reference(name.partition(ADAPTERS)[0], home)
        row = await tx.find(VIRTUAL_MODEL.name, *_parts(base)) if base else None
        if row is None and base is not None:
            row, _ = await find_named(tx, MODEL, base.workspace, base.name)
        return (serving.name, row.created_at) if row is not None else None

    return await context.store.read(action)


async def provider_readiness(context: Context, workspace: str, name: str) -> tuple[str, str]:
    """The URL and the status of a provider. Raises NotFound."""

    async def action(tx: ReadTransaction) -> tuple[str, str]:
        row = await tx.find(MODEL_PROVIDER.name, workspace, name)
        if row is None:
            raise missing(MODEL_PROVIDER, workspace, name)
        return row.fields["host_url"], row.fields["status"]

    return await context.store.read(action)
