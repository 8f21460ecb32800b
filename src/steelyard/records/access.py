"""Who is calling, and what they may do: values, and pure functions over them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from steelyard.records.names import Reference
from steelyard.records.permissions import KIND_PERMISSIONS, PLATFORM_ROLES, ROLES, allowed_by_scopes

SYSTEM = "system"
"""The workspace in which roles for the whole server are given."""
EVERYBODY = "*"
"""The principal that stands for everybody who has said who they are."""
_NOTHING: frozenset[str] = frozenset()
_READS: Mapping[str, str] = MappingProxyType({kind: f"{begin}.read" for kind, begin in KIND_PERMISSIONS.items()})


class Binding(NamedTuple):
    """That a principal (a subject, an e-mail address, a group, or everybody) has a role in a workspace."""

    id: str
    principal: str
    workspace: str
    role: str
    granted_by: str | None
    granted_at: str
    revoked_at: str | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: as a token or a key of theirs says. `scopes` narrow what their roles allow."""

    subject: str
    email: str | None = None
    groups: frozenset[str] = frozenset()
    issuer: str | None = None
    scopes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What bindings may call them. A group has `group:` before its name: else one that somebody has called as the
        subject of somebody else would have what that one has.
        """
        mail = (self.email,) if self.email else ()
        return (self.subject, *mail, *(f"group:{name}" for name in self.groups), EVERYBODY)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a key takes away from what its owner may; empty tuples take nothing away."""

    scopes: tuple[str, ...] = ()
    workspaces: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """As `workspace/name`."""


class Grant(NamedTuple):
    """What one binding gives: permissions in a workspace (None: everywhere), and how the audit calls it."""

    where: str | None
    permissions: frozenset[str]
    rule: str


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may do: `everywhere`, and in each workspace. `models` bounds which may be called (None: all)."""

    everywhere: frozenset[str] = _NOTHING
    in_workspaces: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    grants: tuple[Grant, ...] = ()
    """Where it all comes from; for the audit."""
    models: frozenset[str] | None = None
    views: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What others make of it once, and find here the next time; a changed copy begins with none."""

    def may(self, permission: str, workspace: str | None) -> bool:
        """Whether they have a permission in a workspace; None: for the whole server."""
        if permission in self.everywhere:
            return True
        return workspace is not None and permission in self.in_workspaces.get(workspace, _NOTHING)

    def may_anywhere(self, permission: str) -> bool:
        """Whether they have a permission in any workspace."""
        return permission in self.everywhere or any(permission in has for has in self.in_workspaces.values())

    def workspaces(self, permission: str) -> frozenset[str] | None:
        """The workspaces in which they have a permission; None for all."""
        if permission in self.everywhere:
            return None
        return frozenset(name for name, has in self.in_workspaces.items() if permission in has)

    def sees(self, kind: str, workspace: str, name: str) -> bool:
        """Whether a record is there for them."""
        return self.may(_READS[kind], name if kind == "workspace" else workspace)

    def shown(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a record: of a model, without the adapters in workspaces that they do not see."""
        adapters = fields.get("adapters") if kind == "model" else None
        if not adapters:
            return fields
        seen = [one for one in adapters if self.sees("adapter", one["workspace"], one["name"])]
        return fields if len(seen) == len(adapters) else {**fields, "adapters": seen}

    def rule(self, permission: str, workspace: str | None) -> str | None:
        """By which role, of which binding, a permission is there in a workspace; None: for the whole server."""
        for where in (workspace, None):
            for grant in reversed(self.grants):
                if grant.where == where and permission in grant.permissions:
                    return grant.rule
        return None

    def may_call(self, model: str) -> bool:
        """Whether they may call the model `workspace/name`, as far as a key of theirs bounds that."""
        return self.models is None or model in self.models


def access_of(principal: Principal, bindings: Iterable[Binding], narrowing: Narrowing | None = None) -> Access:
    """What `principal` may do by those of `bindings` that are about them, as far as a key of theirs lets them."""
    names = set(principal.names)
    about = (one for one in bindings if one.principal in names and one.revoked_at is None)
    return access_by(tuple((one.role, one.workspace) for one in about), principal.scopes, narrowing)


def access_by(
    roles: Iterable[tuple[str, str]], scopes: tuple[str, ...] = (), narrowing: Narrowing | None = None
) -> Access:
    """What roles in workspaces allow, as far as the scopes of a token, and a key, let them."""
    narrow = narrowing or Narrowing()
    grants: list[Grant] = []
    for role, workspace in roles:
        given = ROLES.get(role, _NOTHING)
        for narrower in (scopes, narrow.scopes):
            if narrower:
                given = frozenset(one for one in given if allowed_by_scopes(one, narrower))
        rule = f"{role}@{workspace}"
        if role not in PLATFORM_ROLES:
            if not narrow.workspaces or workspace in narrow.workspaces:
                grants.append(Grant(workspace, given, rule))
        elif workspace == SYSTEM:  # such a role means nothing in a workspace of its own
            grants.extend(Grant(where, given, rule) for where in narrow.workspaces or (None,))
    everywhere = _NOTHING
    in_workspaces: dict[str, frozenset[str]] = {}
    for where, given, _ in grants:
        if where is None:
            everywhere |= given
        else:
            # most have one role in a workspace, and share its set with all who have it
            in_workspaces[where] = in_workspaces[where] | given if where in in_workspaces else given
    models = frozenset(narrow.models) if narrow.models else None
    return Access(everywhere, MappingProxyType(in_workspaces), tuple(grants), models)


def covers(wider: Access, narrower: Access) -> bool:
    """Whether everything that `narrower` allows, `wider` does too: a key never exceeds who makes it."""
    if not narrower.everywhere <= wider.everywhere:
        return False
    if wider.models is not None and (narrower.models is None or not narrower.models <= wider.models):
        return False
    return all(
        has <= (wider.everywhere | wider.in_workspaces.get(name, _NOTHING))
        for name, has in narrower.in_workspaces.items()
    )


def is_reference(text: str) -> Reference | None:
    """The model that an entry of `models` names, which is always whole."""
    workspace, between, name = text.partition("/")
    return Reference(workspace, name) if between and workspace and name and "/" not in name else None
