"""The request of each operation: one that whoever may do it is not refused, and that does no harm when it is done."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from steelyard.api import hub
from steelyard.api.admission import operation_of

Document = dict[str, Any]
_NAMES = {
    "id": "0" * 32,
    "path": "weights.bin",
    "span": "1...2",
    "trailing_uri": "v1/models",
    "revision": "main",
    "plural": "models",
    "number": "1",
    "day": "1",
    "prefix": "default",
    "hash": "0" * 64,
    "fileset": "fileset-1",
    "principal_id": "nobody-here",
}
_GONE = "nothing-here"
REPOSITORY, FOLDER = "repo", "folder"
_SYSTEM = {
    "health_live_health_live_get": "health_live",
    "health_ready_health_ready_get": "health_ready",
    "platform_status_status_get": "platform_status",
    "cluster_info_cluster_info_get": "cluster_info",
    "metrics_metrics_get": "metrics",
}
TICKETED = frozenset(
    {"hub_put_whole", "hub_put_part", "hub_complete", "hub_put_xorb", "hub_put_shard", "hub_find_chunk"}
)
"""What asks for a ticket, and for nothing else."""
_ASKING = ("chat_completions", "responses", "messages", "completions", "embeddings")


class Operation(NamedTuple):
    """An operation, one of its methods, and its path."""

    id: str
    method: str
    path: str

    @property
    def seen(self) -> bool:
        """Whether a refusal may look as if the record were not there."""
        return self.id in {"get_role_binding", "delete_role_binding"} or (
            self.id.startswith("hub_") and "{workspace}" in self.path
        )


def operations(document: Document) -> Iterator[Operation]:
    """All operations of a server: those of its document, those of the Hub's protocol, and the pages."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found = operation["operationId"]
            yield Operation(_SYSTEM.get(found, found), method.upper(), path)
    for route in hub.router.routes:
        for method in sorted(route.methods):  # type: ignore[attr-defined]
            yield Operation(operation_of(route), method, route.path.replace(":path}", "}"))  # type: ignore[arg-type, attr-defined]
    yield Operation("overridden", "POST", "/apis/files/v2/workspaces/{workspace}/filesets/{name}/uploads/{id}")
    yield Operation("openapi", "GET", "/openapi.json")
    yield Operation("docs", "GET", "/docs")


def request_of(operation: Operation, workspace: str, binding: Callable[[str], str]) -> Document:
    """The request of an operation that is about that workspace; `binding` makes one there."""
    names = {**_NAMES, "workspace": workspace}
    if operation.id == "hub_tree":
        names["path"] = FOLDER
    if "{workspace}" not in operation.path and operation.path.startswith("/apis/entities"):
        names["name"] = workspace
    if operation.id.startswith("hub_") and operation.id != "hub_without_workspace":
        names["name"] = REPOSITORY
    if operation.path.endswith("role-bindings/{name}"):
        names["name"] = binding(workspace)
    path = operation.path
    for name in ("name", "model_name", "adapter", *names):
        path = path.replace(f"{{{name}}}", names.get(name, _GONE))
    assert "{" not in path, path
    request: Document = {"method": operation.method, "url": path, "headers": {}}
    if operation.method in {"POST", "PUT", "PATCH"} or operation.id == "hub_delete":
        request["json"] = _body(operation, workspace)
    if operation.id == "delete_workspace":
        request["headers"]["If-Match"] = '"of-another-time"'
    return request


def _body(operation: Operation, workspace: str) -> Document:
    if operation.id in _ASKING or operation.id in {"openai_proxy", "model_proxy"}:
        return {"model": f"{workspace}/{_GONE}", "messages": []}
    match operation.id:
        case "create_role_binding":
            return {"principal": "x", "role": "Nothing", "workspace": workspace}
        case "hub_create":
            return {"name": REPOSITORY, "organization": workspace}
        case "hub_delete":
            return {"name": _GONE, "organization": workspace}
        case "hub_paths_info":
            return {"paths": []}
        case "hub_preupload":
            return {"files": []}
    return {}
