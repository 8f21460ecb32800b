"""The one table of what may be done: which permission each operation of the API takes, and which role has which.

The page about roles is made from it, and the tests are: an operation without a row fails them.

Names of permissions and of the first roles are those of NeMo Platform's API, so that its users find what they know.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal, NamedTuple

Where = Literal["open", "signed-in", "workspace", "workspace-name", "named", "anywhere", "everywhere"]
"""Where a permission is asked: of nobody; of anybody who has said who they are; in the workspace that the path names as
`workspace`, or as `name`; in the one that the body, or the record itself, names, by whoever reads that; in some
workspace, where an answer holds only what may be seen; for the whole server."""


class Rule(NamedTuple):
    """What an operation takes."""

    permission: str
    where: Where = "workspace"


OPEN = Rule("", "open")
SIGNED_IN = Rule("", "signed-in")

KIND_PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "workspace": "workspaces",
        "project": "projects",
        "model": "models",
        "adapter": "models.adapters",
        "prompt": "models.prompts",
        "alias": "models.aliases",
        "fileset": "filesets",
        "model-provider": "inference.providers",
        "virtual-model": "inference.virtual-models",
        "limit": "limits",
        "webhook": "webhooks",
        "platform-secret": "secrets",
    }
)
"""How the permissions of each kind of record begin; they end in list, read, create, update, delete."""

_NOUNS = {
    "workspace": "workspace",
    "project": "project",
    "model": "model",
    "adapter": "adapter",
    "prompt": "prompt",
    "alias": "alias",
    "fileset": "fileset",
    "model-provider": "model_provider",
    "virtual-model": "virtual_model",
    "limit": "limit",
    "webhook": "webhook",
    "platform-secret": "secret",
}
_REPLACED = frozenset({"workspace", "project", "prompt"})
_PLURALS = {"alias": "aliases", "model-provider": "providers", "virtual-model": "virtual_models"}


def _of_kind(kind: str) -> dict[str, Rule]:
    """The rules of the operations that all kinds share."""
    begin, noun = KIND_PERMISSIONS[kind], _NOUNS[kind]
    whole = kind == "workspace"
    where: Where = "workspace-name" if whole else "workspace"
    return {
        f"list_{_PLURALS.get(kind, noun + 's')}": Rule(f"{begin}.list", "anywhere" if whole else "workspace"),
        f"create_{noun}": Rule(f"{begin}.create", "everywhere" if whole else "workspace"),
        f"get_{noun}": Rule(f"{begin}.read", where),
        f"update_{noun}": Rule(f"{begin}.update", where),
        **({f"replace_{noun}": Rule(f"{begin}.update", where)} if kind in _REPLACED else {}),
        f"delete_{noun}": Rule(f"{begin}.delete", where),
        f"list_{noun}_revisions": Rule(f"{begin}.read", where),
        f"compare_{noun}_revisions": Rule(f"{begin}.read", where),
        f"revert_{noun}": Rule(f"{begin}.update", where),
        f"undelete_{noun}": Rule("records.undelete", "everywhere" if whole else "workspace"),
    }


OPERATIONS: Mapping[str, Rule] = MappingProxyType(
    {
        **{name: rule for kind in KIND_PERMISSIONS for name, rule in _of_kind(kind).items()},
        # Models, beyond what all kinds can.
        "freeze_model": Rule("models.update"),
        "unfreeze_model": Rule("models.unfreeze"),
        "create_model_adapter": Rule("models.adapters.create"),
        "update_model_adapter": Rule("models.adapters.update"),
        "delete_model_adapter": Rule("models.adapters.delete"),
        "get_model_inspection": Rule("models.read"),
        "get_model_memory": Rule("models.read"),
        "get_model_lineage": Rule("models.read"),
        # Files.
        **dict.fromkeys(
            ("list_files", "head_file", "download_file", "list_commits", "compare_commits"), Rule("filesets.read")
        ),
        **dict.fromkeys(
            (
                *("upload_file", "delete_file", "commit_files", "restore_files", "list_missing_blobs"),
                *("create_upload", "head_upload", "append_to_upload", "delete_upload", "overridden"),
                *("sync_fileset", "cancel_fileset_sync"),
            ),
            Rule("filesets.update"),
        ),
        **dict.fromkeys(("describe_uploads", "describe_upload"), OPEN),
        "get_fileset_sync": Rule("filesets.read"),
        "fsck": Rule("system.fsck", "everywhere"),
        # The Hugging Face Hub's protocol: what is not there for the caller is answered as its clients understand it.
        **dict.fromkeys(
            (
                *("hub_resolve", "hub_information", "hub_tree", "hub_paths_info", "hub_tree_size", "hub_refs"),
                "hub_commits",
            ),
            Rule("filesets.read", "named"),
        ),
        **dict.fromkeys(
            ("hub_preupload", "hub_commit", "hub_batch", "hub_verify", "hub_write_token"),
            Rule("filesets.update", "named"),
        ),
        "hub_create": Rule("filesets.create", "named"),
        "hub_delete": Rule("filesets.delete", "named"),
        "hub_listed": Rule("filesets.list", "anywhere"),
        **dict.fromkeys(("hub_who_am_i", "hub_validate_yaml", "hub_without_workspace"), SIGNED_IN),
        # Their clients send no credentials here: the ticket in the address is the permission (`api/hub/tickets.py`).
        **dict.fromkeys(("hub_put_whole", "hub_put_part", "hub_complete", "hub_put_xorb", "hub_put_shard"), OPEN),
        "hub_find_chunk": OPEN,
        # Providers and the gateway.
        "put_model_provider": Rule("inference.providers.update"),
        "set_model_provider_status": Rule("inference.providers.update"),
        "refresh_model_provider": Rule("inference.providers.update"),
        "get_provider_readiness": Rule("inference.providers.read"),
        **dict.fromkeys(("list_served_models", "get_served_model"), Rule("inference.gateway.openai.exec", "anywhere")),
        **dict.fromkeys(
            ("list_workspace_served_models", "get_workspace_served_model"), Rule("inference.gateway.openai.exec")
        ),
        # The name in the body says in which workspace.
        **dict.fromkeys(
            ("chat_completions", "responses", "messages", "completions", "embeddings"),
            Rule("inference.gateway.openai.exec", "named"),
        ),
        **{
            f"{way}_proxy{method}": Rule(f"inference.gateway.{way}.exec")
            for way in ("openai", "model", "provider")
            for method in ("", "_get", "_put", "_patch", "_delete")
        },
        **dict.fromkeys(("list_usage", "summarize_usage"), Rule("usage.read")),
        "export_usage": Rule("usage.export"),
        # Secrets, webhooks, batches, history.
        "access_secret": Rule("secrets.access"),
        "rotate_encryption_keys": Rule("secrets.rotate", "everywhere"),
        **dict.fromkeys(("list_webhook_deliveries", "get_webhook_status"), Rule("webhooks.read")),
        **dict.fromkeys(("rotate_webhook_secret", "ping_webhook", "redeliver_to_webhook"), Rule("webhooks.update")),
        "batch": Rule("workspaces.read"),  # each of its writes takes its own
        "export_workspace": Rule("workspaces.export"),
        "import_workspace": Rule("workspaces.import"),
        "list_events": Rule("", "anywhere"),
        # Who may do what.
        "list_members": Rule("workspaces.members.list"),
        "add_member": Rule("workspaces.members.create"),
        "set_member": Rule("workspaces.members.update"),
        "remove_member": Rule("workspaces.members.delete"),
        "list_role_bindings": Rule("iam.list", "anywhere"),
        "create_role_binding": Rule("iam.create", "named"),
        "get_role_binding": Rule("iam.read", "named"),
        "delete_role_binding": Rule("iam.delete", "named"),
        **dict.fromkeys(("list_keys", "create_key", "get_key", "revoke_key", "who_am_i"), SIGNED_IN),
        "list_audit": Rule("audit.read", "anywhere"),
        "export_audit": Rule("audit.read", "anywhere"),
        "verify_audit": Rule("audit.verify", "everywhere"),
        # What anybody may ask.
        **dict.fromkeys(("auth_discovery", "auth_jwks", "auth_token"), OPEN),
        **dict.fromkeys(("health_live", "health_ready", "platform_status", "cluster_info"), OPEN),
        "metrics": Rule("system.metrics", "everywhere"),
        # The same on every server, and in our repository; a browser could not say who it is when it opens a page.
        **dict.fromkeys(("openapi", "docs"), OPEN),
    }
)
"""The rule of each operation, by its id in the OpenAPI document (of several on one path, by the id that they share)."""

_EXEC = ("inference.gateway.openai.exec", "inference.gateway.model.exec")
_VIEWED = (
    *("filesets", "inference.providers", "inference.virtual-models", "inference.deployments"),
    *("inference.deployment-configs", "models", "models.adapters", "models.prompts", "models.aliases"),
    *("projects", "limits", "webhooks", "workspaces", "secrets"),
)
_EDITED = tuple(begin for begin in _VIEWED if begin not in {"workspaces", "webhooks", "limits"})
_VIEWER = (
    *(f"{begin}.{end}" for begin in _VIEWED for end in ("list", "read")),
    *(*_EXEC, "inference.gateway.provider.exec", "usage.read"),
)
_EDITOR = (
    *_VIEWER,
    *(f"{begin}.{end}" for begin in _EDITED for end in ("create", "update", "delete")),
    *("workspaces.update", "workspaces.delete", "webhooks.create", "webhooks.update", "webhooks.delete"),
)
_ADMIN = (
    *_EDITOR,
    *(f"iam.{end}" for end in ("list", "read", "create", "delete")),
    *(f"workspaces.members.{end}" for end in ("list", "create", "update", "delete")),
    *(f"limits.{end}" for end in ("create", "update", "delete")),
    *("models.trust-remote-code.set", "models.tool-call-plugin.set", "models.unfreeze"),
    *("records.purge", "records.undelete", "workspaces.export", "workspaces.import", "workspaces.policy.set"),
    *("usage.export", "audit.read"),
)

ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Viewer": frozenset(_VIEWER),
        "Editor": frozenset(_EDITOR),
        "Admin": frozenset(_ADMIN),
        "Invoker": frozenset(_EXEC),
        "Publisher": frozenset(
            {
                *("workspaces.read", "workspaces.list", "filesets.list", "filesets.read", "models.list", "models.read"),
                *("filesets.create", "filesets.update", "models.create", "models.update"),
                *("models.adapters.list", "models.adapters.read", "models.adapters.create", "models.adapters.update"),
            }
        ),
        "WorkspaceCreator": frozenset({"workspaces.create"}),
        "PlatformAdmin": frozenset(
            {
                *_ADMIN,
                *("workspaces.create", "secrets.rotate", "system.fsck", "system.metrics", "audit.verify"),
                *("iam.bundle.read", "keys.admin"),
            }
        ),
        "Service": frozenset({"secrets.access"}),
    }
)
"""What each role may. WorkspaceCreator and PlatformAdmin are given in the workspace `system`, for the whole server;
Service adds what no person has, and is given beside another role."""
PLATFORM_ROLES = frozenset({"WorkspaceCreator", "PlatformAdmin"})
PERMISSIONS = frozenset().union(*ROLES.values())
"""Every permission that there is."""


def scope_of(permission: str) -> str:
    """The scope that a token or key needs for a permission: `models:read`, `inference:write` and so on."""
    head, _, rest = permission.partition(".")
    area = {
        "workspaces": "entities",
        "projects": "entities",
        "records": "entities",
        "filesets": "files",
        "iam": "auth",
        "keys": "auth",
        "audit": "auth",
        "system": "platform",
        "limits": "inference",
        "usage": "inference",
        "webhooks": "entities",
    }.get(head, head)
    if permission.startswith(("inference.providers", "inference.deployment")):
        area = "models"  # as the API that these clients know has it
    if permission.startswith("inference.gateway"):
        return "inference:write"
    reads = rest.rpartition(".")[2] in {"list", "read", "access", "verify", "metrics", "export"} or rest == "read"
    return f"{area}:{'read' if reads else 'write'}"


SCOPES = frozenset(
    {
        f"{area}:{verb}"
        for area in sorted({scope_of(p).partition(":")[0] for p in PERMISSIONS})
        for verb in ("read", "write", "*")
    }
)
"""Every scope that a key can have; `*` of an area is both."""


def covers_scope(wider: Iterable[str], scope: str) -> bool:
    """Whether scopes let through all that a further one lets through."""
    area, _, verb = scope.partition(":")
    wanted = {scope, f"{area}:*", f"platform:{verb}", "platform:*"}
    return any(one in wanted for one in wider)


def allowed_by_scopes(permission: str, scopes: Iterable[str]) -> bool:
    """Whether scopes let a permission through. Those without a `:` say nothing; where there are no others, all is let
    through, as the tokens of plain OIDC providers are.
    """
    said = [scope for scope in scopes if ":" in scope]
    needed = scope_of(permission)
    area, _, verb = needed.partition(":")
    wanted = {needed, f"{area}:*", f"platform:{verb}", "platform:*"}
    return not said or any(scope in wanted or fnmatchcase(needed, scope) for scope in said)
