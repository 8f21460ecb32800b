"""Records for generated requests to find, and the way of the requests to them."""

import zlib
from itertools import count
from typing import Any

import httpx
import schemathesis

from tests.api.paths import SPEC

Case = schemathesis.Case[Any]

# Where nobody listens.
NOWHERE = "https://127.0.0.1:9/hook"
# Where each kind of storage names its server; left out, it would be the real one.
ADDRESSES = {"huggingface": "endpoint", "ngc": "host", "s3": "endpoint_url"}
FILE = "folder/config.json"
LENGTH = "1000000"
_CHAT = [{"role": "user", "content": "Hello"}]
# What each path of inference wants beside the model.
QUESTIONS: dict[str, dict[str, Any]] = {
    "v1/chat/completions": {"messages": _CHAT},
    "v1/responses": {"input": "Hello"},
    "v1/messages": {"messages": _CHAT, "max_tokens": 9},
    "v1/completions": {"prompt": "Hello"},
    "v1/embeddings": {"input": "Hello"},
}
# The engine answers it, whatever the method; the gateway knows nothing of it, and passes it on.
OTHER_PATH = "v1/tuned/models"


def passes_on(operation: Any) -> bool:
    """Whether a request goes on to who serves a model; it is documented that this one may fail."""
    said = operation.definition.raw
    return "inference" in said["tags"] and "502" in said["responses"]


class Known:
    """A workspace that has a record of each kind, so that requests find something; all but two have its name.

    The server at `engine` answers for its model; nobody does for the model `absent`.
    """

    def __init__(self, http: httpx.Client, workspace: str, engine: str) -> None:
        self.name = workspace
        self.alias = f"{workspace}@prod"
        self.absent = f"{workspace}-absent"
        self._engine = engine
        self._numbers = count()
        self._cases = 0
        self._http = http
        self._filesets = f"/apis/files/v2/workspaces/{workspace}/filesets/{workspace}"
        self.make()

    def make(self) -> None:
        """Makes what a delete has taken away."""
        self._http.post("/apis/entities/v2/workspaces", json={"name": self.name})
        records: dict[str, dict[str, Any]] = {
            "entities/v2/workspaces/{}/projects": {},
            "models/v2/workspaces/{}/models": {"spec": SPEC},
            "models/v2/workspaces/{}/prompts": {},
            "files/v2/workspaces/{}/filesets": {},
            "secrets/v2/workspaces/{}/secrets": {"value": "a secret"},
            "models/v2/workspaces/{}/aliases": {"name": self.alias, "model": self.name},
            "steelyard/v1/workspaces/{}/webhooks": {"url": NOWHERE},
            "models/v2/workspaces/{}/providers": self._provider(self.name, self._engine),
            "inference-gateway/v2/workspaces/{}/virtual-models": {"default_model_entity": self.name},
            "steelyard/v1/workspaces/{}/limits": {"requests_per_minute": 6000},
        }
        for path, fields in records.items():
            self._http.post(f"/apis/{path.format(self.name)}", json={"name": self.name, **fields})
        models = f"/apis/models/v2/workspaces/{self.name}"
        self._http.post(f"{models}/models", json={"name": self.absent})
        self._http.post(f"{models}/providers", json={"name": self.absent, **self._provider(self.absent, NOWHERE)})
        self._http.put(f"{self._filesets}/-/{FILE}", content=b"{}")
        adapter = {"name": self.name, "model": self.name, "fileset": self.name, "finetuning_type": "prompt_tuning"}
        self._http.post(f"{models}/adapters", json=adapter)

    def _provider(self, model: str, url: str) -> dict[str, Any]:
        served = [{"model_entity_id": model, "served_model_name": "tiny"}]
        return {"host_url": url, "discover": False, "status": "READY", "served_models": served}

    def member(self) -> str:
        """Somebody who has a role in the workspace."""
        members = f"/apis/entities/v2/workspaces/{self.name}/members"
        self._http.put(f"{members}/{self.name}", json={"roles": ["Viewer"]})
        return self.name

    def binding(self) -> str:
        """The name of a role that somebody has just been given."""
        body = {"principal": f"somebody-{next(self._numbers)}", "workspace": self.name, "role": "Viewer"}
        return str(self._http.post("/apis/auth/v2/iam/role-bindings", json=body).json()["name"])

    def upload(self) -> str:
        """The id of an upload that has just begun."""
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": LENGTH}
        begun = self._http.post(f"{self._filesets}/uploads", headers=headers)
        return begun.headers["Location"].rsplit("/", 1)[-1]

    def lead_to(self, case: Case) -> None:
        """Sends most requests to the workspace, half of all to its records, a third with nothing optional.

        Only a known id can be the id of an upload: all of those in the workspace are sent to one.
        """
        draw = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
        steps = {name: case.path_parameters[name] for name in case.path_parameters}
        if draw % 4 and "workspace" in steps:
            case.path_parameters["workspace"] = self.name
        if draw % (4 if "id" in steps else 2):
            case.path_parameters.update({name: self._known(name, case) for name in steps if name != "workspace"})
            case.body = self._naming(case.body)
        if draw % 3 == 0 or (case.method == "HEAD" and "/uploads" in case.path):
            # Conditions and past revisions by chance are hardly ever those of the record.
            case.query.clear()
            case.headers.clear()
        if draw % 3 and case.path.endswith("commits:compare"):
            case.query = {"from": "main"}  # the id of a commit by chance is that of none
        if draw % 3 == 0 and "/uploads" in case.path:
            case.headers.update({"Upload-Length": LENGTH} if case.method == "POST" else {"Upload-Offset": "0"})
        if passes_on(case.operation):
            self._ask_for_a_model(case, draw >> 8)
        if case.path.startswith("/v1/models/") and draw % 2:
            case.path_parameters["name"] = f"{self.name}/{self.name}"
        if any(part in case.path for part in ("webhooks", "filesets", "providers", ":batch")):
            case.body = _harmless(case.body)
        self._refuse_some(case)
        if case.method == "DELETE":
            self.make()

    def _refuse_some(self, case: Case) -> None:
        """Spoils every third request of those for which so few are made that chance may leave none to be refused."""
        self._cases += 1
        if self._cases % 3:
            return
        if case.method == "HEAD" and "/uploads/" in case.path:
            case.path_parameters["id"] = "no-upload"
        if case.method == "GET" and case.path.endswith("/auth/v2/keys"):
            case.query = {"owner": "x" * 257}

    def _ask_for_a_model(self, case: Case, draw: int) -> None:
        """Names a model, in the path or in the body, that somebody serves, or one that nobody answers for.

        Half of all, and all of those, are with what their path wants. A quarter are left as they are.
        """
        if draw % 4 == 0:
            return
        absent = draw % 8 == 1
        model = self.absent if absent else self.name
        path = case.path.removeprefix("/")
        if "trailing_uri" in case.path_parameters:
            paths = (*QUESTIONS, OTHER_PATH) if case.method == "POST" or draw % 3 == 0 else (OTHER_PATH,)
            path = paths[(draw >> 3) % len(paths)]
            case.path_parameters["workspace"], case.path_parameters["trailing_uri"] = self.name, path
        if "name" in case.path_parameters:
            case.path_parameters["name"] = model
        body = case.body if isinstance(case.body, dict) else {}
        if absent or draw % 4 > 1:
            case.body = {**body, **QUESTIONS.get(path, {}), "model": f"{self.name}/{model}"}
        elif body:
            case.body = {**body, "model": f"{self.name}/{model}"}

    def _known(self, step: str, case: Case) -> str:
        """The value of a step of the path that leads to something."""
        match step:
            case "span":
                return "1...1"
            case "path":
                return FILE
            case "id":
                return self.upload()
            case "principal_id":
                return self.member()
        if "/role-bindings/" in case.path:
            return self.binding()
        return self.alias if "/aliases/" in case.path else self.name

    def _naming(self, body: Any) -> Any:
        """The body, with references to records that are there."""
        if not isinstance(body, dict):
            return body
        copies = [{"op": "copy", "from": FILE, "to": "copy.json"}]
        there = {"model": self.name, "fileset": self.name, "changes": copies, "host_url": NOWHERE}
        there |= {"api_key_secret_name": self.name, "project": self.name, "role": "Viewer", "workspace": self.name}
        there |= {"principal": f"somebody-{next(self._numbers)}"}
        return {key: there.get(key, value) for key, value in body.items()}


def _harmless(value: Any) -> Any:
    """The same without URLs that somebody may listen at: the server sends events to webhooks, and asks sources."""
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    if isinstance(value, dict):
        address = ADDRESSES.get(str(value.get("type")))
        named = {**value, address: NOWHERE} if address else value
        return {key: NOWHERE if _is_url(item) else _harmless(item) for key, item in named.items()}
    return value


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.lower().startswith(("http:", "https:"))
