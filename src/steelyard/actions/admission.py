"""Whether a caller may do what they ask: the one question, asked of the one table (`records/permissions.py`)."""

from collections.abc import Mapping
from typing import Any

from steelyard.actions.context import forbidden
from steelyard.auth.directory import Identity
from steelyard.errors import Unauthorized
from steelyard.records.permissions import Rule
from steelyard.records.workspaces import EVERY_WORKSPACE

_SIGN_IN = "say who you are: Authorization: Bearer with an API key, or with a token of the identity provider"


def admit(identity: Identity | None, rule: Rule, path: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """The permission that lets somebody do an operation, and the workspace in which they have it (None: the whole
    server); None where nobody needs one.

    Raises Unauthorized for somebody who has not said who they are, Forbidden. It is asked before anything is looked up:
    that a workspace is not there, and that one may not see it, are one answer.
    """
    permission, where = rule
    if where == "open":
        return None
    if identity is None:
        raise not_signed_in()
    access = identity.access
    if where == "signed-in" or not permission:
        return None
    if where in {"workspace", "workspace-name"}:
        workspace = path.get("workspace" if where == "workspace" else "name", "")
        if workspace == EVERY_WORKSPACE and where == "workspace":
            if not access.may_anywhere(permission):
                raise forbidden(permission, None)
            return None  # the answer holds what may be seen
        if not access.may(permission, workspace):
            raise forbidden(permission, workspace)
        return permission, workspace
    if where in {"anywhere", "named"}:
        if not access.may_anywhere(permission):
            raise forbidden(permission, None)
        return None
    if not access.may(permission, None):
        raise forbidden(permission, None)
    return permission, None


def not_signed_in() -> Unauthorized:
    """The error of somebody who has to say who they are."""
    return Unauthorized(_SIGN_IN, headers={"WWW-Authenticate": "Bearer"})
