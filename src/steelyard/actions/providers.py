"""The writes of model providers. What a provider serves stands in the models too, in step with it."""

from collections.abc import Sequence
from typing import Any

from steelyard.actions import writes
from steelyard.actions.addresses import require_allowed
from steelyard.actions.context import Caller, Context
from steelyard.actions.references import require_project
from steelyard.actions.writes import Write, Written
from steelyard.errors import BadReference, InvalidInput
from steelyard.records.conditions import Conditions
from steelyard.records.forms import validate
from steelyard.records.kinds import Fields, Row
from steelyard.records.model_names import parse_model_name
from steelyard.records.models import MODEL
from steelyard.records.names import Reference, is_open_name
from steelyard.records.patch import Said
from steelyard.records.providers import CREATED, MODEL_PROVIDER, UpdateModelProviderStatusRequest, served_by
from steelyard.records.secrets import SECRET
from steelyard.store.protocol import WriteTransaction
from steelyard.store.queries import Query

_ALL = 2**31
_LINK = "model_providers"
_SPENDING = ("api_key_secret_name", "host_url", "auth_header_format")
"""What decides where a secret goes: whoever changes it has to see the secret."""


def create_provider(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new provider. Raises InvalidInput; performed, InvalidInput (an address that policy refuses), BadReference,
    AlreadyExists, PreconditionFailed.
    """
    made = writes.create(context, caller, MODEL_PROVIDER, workspace, _with_message(body), conditions, provider_rules)

    async def run(tx: WriteTransaction) -> Written:
        written = await made.run(tx)
        await _tell_models(tx, context, caller, written.row, {}, written.row.fields)
        return written

    return made._replace(run=run)


def _with_message(body: Any) -> Any:
    if not isinstance(body, dict) or body.get("status") is not None or body.get("status_message") is not None:
        return body
    return {**body, "status_message": CREATED}


def update_provider(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a provider. Raises InvalidInput; performed, InvalidInput, NotFound, BadReference, PreconditionFailed."""
    return writes.update(context, caller, MODEL_PROVIDER, workspace, name, said, conditions, provider_rules)


def put_provider(
    context: Context, caller: Caller, workspace: str, name: str, body: Any, conditions: Conditions
) -> Write:
    """Makes a provider what `body` says, but for its status, what it serves and its project where those are absent; one
    that is not there is created. Raises InvalidInput; performed, what creating and changing raise.
    """
    if isinstance(body, dict) and body.get("host_url") is None:
        raise InvalidInput.of(("body", "host_url"), "missing", "Field required")
    changed = update_provider(context, caller, workspace, name, Said(_of_status(body), put=True), conditions)

    async def run(tx: WriteTransaction) -> Written:
        if await tx.exists(MODEL_PROVIDER.name, workspace, name):
            return await changed.run(tx)
        if body.get("name", name) != name:
            raise InvalidInput.of(("body", "name"), "read_only", "is not the name in the path; leave it out")
        return await create_provider(context, caller, workspace, {**body, "name": name}, conditions).run(tx)

    return Write(MODEL_PROVIDER, "update", run)


def set_status(context: Context, caller: Caller, workspace: str, name: str, body: Any, conditions: Conditions) -> Write:
    """Stores how a provider fares and what it serves, by the body of a request: what it does not say is kept.

    Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed.
    """
    form = validate(UpdateModelProviderStatusRequest, body, unknown=context.policy.unknown_fields)
    said = {key: value for key, value in form.model_dump(mode="json").items() if value is not None}
    return update_provider(context, caller, workspace, name, Said(_of_status(said)), conditions)


def _of_status(body: Any) -> Any:
    """The message belongs to a status: a new status without one has none."""
    if not isinstance(body, dict) or body.get("status") is None or body.get("status_message") is not None:
        return body
    return {**body, "status_message": ""}


def delete_provider(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a provider, from every model's list too. Performed, it raises NotFound, PreconditionFailed,
    StillReferenced.
    """

    async def release(tx: WriteTransaction, provider: Row) -> Sequence[Reference]:
        return await _let_go(tx, context, caller, [provider], provider)

    return writes.delete(context, caller, MODEL_PROVIDER, workspace, name, conditions, release)


async def let_go_of_workspace(tx: WriteTransaction, context: Context, caller: Caller, workspace: Row) -> None:
    """Takes the providers of a workspace that goes out of the models of other workspaces."""
    everything = Query(MODEL_PROVIDER.name, workspace.name, "created_at", descending=False, limit=_ALL)
    await _let_go(tx, context, caller, await tx.select(everything), workspace)


async def _let_go(
    tx: WriteTransaction, context: Context, caller: Caller, providers: Sequence[Row], cause: Row
) -> list[Reference]:
    """Takes providers, which go with `cause`, out of the lists of all models that stay, and answers these."""
    homes = [Reference(provider.workspace, provider.name) for provider in providers]
    models = {
        row.id: row
        for provider, home in zip(providers, homes, strict=True)
        for row, field in await tx.referrers(MODEL_PROVIDER.name, home, provider.id, _ALL)
        if field == _LINK and (cause.kind == MODEL_PROVIDER.name or row.workspace != cause.name)
    }
    gone = set(map(str, homes))
    # One change for each model, whatever it loses: an undelete then finds what it was before.
    for model in models.values():
        left = {**model.fields, _LINK: [text for text in model.fields[_LINK] if text not in gone]}
        await writes.change_fields(tx, context, caller, MODEL, model, left, cause=cause.id, stored_form=True)
    return [Reference(model.workspace, model.name) for model in models.values()]


async def provider_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """What a provider keeps to beyond its form: an address that policy allows, a secret and a project that are there.

    When what it serves changes, the models' lists follow.
    """
    old = row.fields
    if fields["host_url"] != old.get("host_url"):
        require_allowed(context, fields["host_url"], ("body", "host_url"))
    secret = fields["api_key_secret_name"]
    if secret and any(fields[field] != old.get(field) for field in _SPENDING):
        await _require_secret(tx, caller, row.workspace, secret)
    _require_served(caller, row, fields)
    if fields["project"] and fields["project"] != old.get("project"):
        await require_project(tx, row.workspace, fields["project"])
    if old:
        await _tell_models(tx, context, caller, row, old, fields)


def _require_served(caller: Caller, row: Row, fields: Fields) -> None:
    """Raises Forbidden for a model of another workspace that the caller may not change: whoever says that they serve it
    is sent what its users ask. Whether there is such a model does not matter.
    """
    known = {one["model_entity_id"] for one in row.fields.get("served_models") or ()}
    for text in (one["model_entity_id"] for one in fields.get("served_models") or ()):
        name = parse_model_name(text, row.workspace) if text not in known else None
        home = (name.adapter or name.base).workspace if name else row.workspace
        if name and home != row.workspace:
            caller.require("models.adapters.update" if name.adapter else "models.update", home)


async def _require_secret(tx: WriteTransaction, caller: Caller, workspace: str, name: str) -> None:
    if not is_open_name(name):
        message = f"{name[:100]!r} is not the bare name of a secret; a provider uses those of its own workspace"
        raise BadReference(message, field="api_key_secret_name")
    if not caller.sees(SECRET.name, workspace, name) or not await tx.exists(SECRET.name, workspace, name):
        message = f"secret {name!r} not found in the workspace {workspace!r}; create it first"
        raise BadReference(message, field="api_key_secret_name")


async def _tell_models(
    tx: WriteTransaction, context: Context, caller: Caller, provider: Row, old: Fields, new: Fields
) -> None:
    """Puts a provider into the lists of models that it serves newly, and takes it out of those that it serves no more.

    A model that it has not served keeps what somebody wrote into its list.
    """
    if old.get("served_models") == new["served_models"]:
        return
    before, after = (dict.fromkeys(served_by(fields, provider.workspace)) for fields in (old, new))
    text = f"{provider.workspace}/{provider.name}"
    for reference in [*after, *before]:
        serves = reference in after
        if serves and reference in before:
            continue
        model = await tx.find(MODEL.name, reference.workspace, reference.name)
        if model is None or serves == (text in model.fields[_LINK]):
            continue
        others = [one for one in model.fields[_LINK] if one != text]
        fields = {**model.fields, _LINK: [*others, text] if serves else others}
        reason = caller.reason or f"{text} {'serves it' if serves else 'serves it no more'}"
        # No `cause`: that would make a delete of the provider the reason, and its undelete take this back.
        await writes.change_fields(tx, context, caller._replace(reason=reason), MODEL, model, fields, stored_form=True)
