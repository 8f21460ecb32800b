"""The page about roles: `docs/roles.md`, made of the table of permissions. `make docs` writes it:

python -m tests.access.roles_page
"""

from pathlib import Path

from steelyard.records.permissions import OPERATIONS, PERMISSIONS, ROLES, scope_of
from tests.house.sources import ROOT

FILE = ROOT / "docs" / "roles.md"
_TITLES = {
    "Viewer": "reads a workspace, and asks its models",
    "Editor": "writes records, files and secrets, too; may always switch trust in code off",
    "Admin": "gives roles, makes limits, trusts code, purges, undeletes, exports and imports, reads the audit",
    "Invoker": "asks models, and nothing else",
    "Publisher": "pushes files and registers models; deletes nothing",
    "WorkspaceCreator": "makes workspaces, and is the Admin of each that they make",
    "PlatformAdmin": "may do all of that everywhere, and what is about the whole server",
    "Service": "reads the values of secrets, where the setting `secrets.access` opens them; given beside another role",
}
_WHERE = {
    "open": "nobody is asked",
    "signed-in": "anybody who is known",
    "workspace": "in the workspace of the path",
    "workspace-name": "in that workspace",
    "named": "in the workspace that the body or the record names",
    "anywhere": "in any workspace; the answer holds what may be seen",
    "everywhere": "for the whole server",
}
_HEAD = """\
# Roles and permissions

Made by `make docs` from `src/steelyard/records/permissions.py`. How roles and keys are given:
[Authentication](authentication.md). Who has used them: [The audit](audit.md).

A role is given to a subject, an e-mail address, a group (`group:name`) or everybody (`*`), in one workspace.
WorkspaceCreator and PlatformAdmin are given in the workspace `system`, and are for the whole server. What somebody
has in a workspace are the permissions of all their roles there. Nobody gives what they do not have; the last Admin of
a workspace and the last PlatformAdmin stay.

"""
_ABOUT_KEYS = """
## Keys and tokens

A key never has more than its owner, and takes away from that: by `scopes`, `workspaces`, `models` and `networks`, and
by when it ends. A permission asks for the scope that stands beside it above; `models:*` is `models:read` and
`models:write`; `platform:read`, `platform:write` and `platform:*` stand for those of all areas. A key without scopes
has none taken away, and neither has a token without a scope that has a `:` in it. A key for `models` asks only these,
by these names, and no provider directly.

What a key takes away, its holder cannot have by another way: it makes no wider key, gives no role that holds more
than it has, and makes no webhook that tells of what it may not read.

"""
_ABOUT_SIGHT = """
## What is not seen is not there

Somebody without the permission to read is answered as if there were nothing: before anything is looked up (403, the
same for a workspace that is there and one that is not), or as for a name that nobody has (404). Lists, counts,
filters, cursors, `X-Steelyard-Dangling`, previews, lineage, history, feeds and the models that can be asked hold what
may be seen. A reference to what one may not see is answered as one to what is not there, and no alias, virtual model,
provider, adapter or webhook lends its author's rights to somebody else:

- To change a model by an alias takes the permission in the model's workspace.
- A virtual model or model that leads to another workspace is asked by those who may ask there.
- A provider may be said to serve a model of another workspace by those who may change that model.
- To name a secret, or to change where it is sent, takes the permission to read (about) it. Whoever may write
  providers can send the secrets of their workspace wherever the [outbound policy](settings.md) lets them: give Editor
  accordingly.

What stays visible of the rest: the numbers of the feed's cursors count the changes of all workspaces; a workspace's
name is taken for everybody (409); a model's revision moves when an adapter elsewhere is made for it; with
`protect_references`, a delete is refused for references that one does not see, without naming them.
"""


def write() -> str:
    """The page."""
    lines = [_HEAD, "## Roles\n\n", *(f"- **{role}** {what}.\n" for role, what in _TITLES.items())]
    lines += ["\n## Permissions\n\n", _line("permission", "scope", *ROLES), _line(*["---"] * (len(ROLES) + 2))]
    for permission in sorted(PERMISSIONS):
        has = ("x" if permission in given else "" for given in ROLES.values())
        lines.append(_line(f"`{permission}`", f"`{scope_of(permission)}`", *has))
    lines += ["\n## Operations\n\n", _line("operation", "permission", "where"), _line("---", "---", "---")]
    for operation, rule in sorted(OPERATIONS.items()):
        permission = f"`{rule.permission}`" if rule.permission else ""
        lines.append(_line(f"`{operation}`", permission, _WHERE[rule.where]))
    return "".join([*lines, _ABOUT_KEYS.rstrip("\n"), "\n", _ABOUT_SIGHT])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    Path(FILE).write_text(write())
