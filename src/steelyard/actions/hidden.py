"""Puts the hidden parts of a record where they belong: secrets into the vault's tokens, large values into contents."""

import hashlib
from typing import Any

import orjson

from steelyard.auth.vault import Sealer
from steelyard.errors import InvalidInput
from steelyard.records.dialects import MASK
from steelyard.records.kinds import Fields, Kind, split_path
from steelyard.store.protocol import WriteTransaction


def seal_secrets(kind: Kind, vault: Sealer, record_id: str, old: Fields, new: Fields) -> Fields:
    """`new` with each secret that it sets as a token. An unchanged secret keeps its token, so that nothing changes.

    Raises InvalidInput where a secret is to be kept that is not there, or that would go to another address.
    """
    sealed = new
    for path in kind.secrets:
        parent, child = split_path(path)
        if not child:
            sealed = {**sealed, path: _seal_field(vault, record_id, path, old.get(path), new.get(path))}
            continue
        holder, before = new.get(parent), old.get(parent) or {}
        if not holder or holder is before:
            continue
        holder = dict(holder)
        keep = holder.pop(f"{child}_set", None)
        token = before.get(child)
        context = f"{record_id}:{path}"
        if holder[child] == MASK:
            holder[child], keep = None, True
        if holder[child]:
            same = token and vault.holds(token, holder[child], context)
            holder[child] = token if same else vault.seal(holder[child], context)
        elif keep:
            holder[child] = _kept(path, token, before, holder)
        else:
            holder[child] = None
        sealed = {**sealed, parent: holder}
    return sealed


def _seal_field(vault: Sealer, record_id: str, path: str, token: str | None, value: str | None) -> str | None:
    """The token of a secret that is a field by itself."""
    context = f"{record_id}:{path}"
    if value == MASK and not token:
        raise InvalidInput.of(("body", path), "read_only", f"no {path} is kept for this record; send one")
    if not value or value == MASK or value is token or (token and vault.holds(token, value, context)):
        return token
    return vault.seal(value, context)


def _kept(path: str, token: str | None, before: Fields, holder: Fields) -> str:
    place = ("body", *split_path(path))
    if not token:
        raise InvalidInput.of((*place[:-1], f"{place[-1]}_set"), "read_only", f"no {place[-1]} is kept for this record")
    if before.get("url") != holder.get("url"):
        # Whoever may change the address must not thereby learn the key.
        raise InvalidInput.of(place, "secret_required", f"send {place[-1]} again: it is not passed on to another url")
    return token


async def store_contents(tx: WriteTransaction, kind: Kind, fields: Fields) -> Fields:
    """`fields` with each large value replaced by its digest, and the value stored under it."""
    stored = fields
    for path in kind.contents:
        parent, child = split_path(path)
        holder = fields.get(parent)
        if holder and isinstance(holder[child], list):
            body = orjson.dumps(holder[child])
            digest = hashlib.sha256(body).hexdigest()
            await tx.put_content(digest, body)
            stored = {**stored, parent: {**holder, child: {"sha256": digest}}}
    return stored


async def load_content(tx: Any, digest: str) -> Any:
    """The large value of that digest."""
    body = await tx.content(digest)
    return orjson.loads(body) if body else None
