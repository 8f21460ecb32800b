"""A workspace of a real server, for a test of its own: records are made in it, and its models asked."""

from itertools import count
from typing import Any

import httpx

from tests.api.paths import WORKSPACES, limits, made, models, providers, secrets, virtual_models
from tests.gateway.gates import CHAT, question
from tests.gateway.upstreams import Seen, Upstream

_numbers = count(1)


class Space:
    """A new workspace."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.name = f"space-{next(_numbers)}"
        made(http, WORKSPACES, name=self.name)
        self.models = models(self.name)
        self.providers = providers(self.name)
        self.virtual_models = virtual_models(self.name)
        self.secrets = secrets(self.name)
        self.gate = f"/apis/inference-gateway/v2/workspaces/{self.name}"

    def provider(self, name: str, engine: Upstream | str, *serves: str, **fields: Any) -> str:
        """A provider that serves these models, each `model` or `model=name at the engine`."""
        pairs = [one.partition("=") for one in serves]
        served = [{"model_entity_id": model, "served_model_name": called or model} for model, _, called in pairs]
        url = engine if isinstance(engine, str) else engine.url
        body = {"host_url": url, "discover": False, "status": "READY", "served_models": served, **fields}
        made(self.http, self.providers, name=name, **body)
        return name

    def model(self, name: str, **fields: Any) -> str:
        """A model; its whole name."""
        made(self.http, self.models, name=name, **fields)
        return f"{self.name}/{name}"

    def served(self, name: str, engine: Upstream, **fields: Any) -> str:
        """A model, and a provider `p-name` that serves it as `tiny`."""
        whole = self.model(name, **fields)
        self.provider(f"p-{name}", engine, f"{name}=tiny")
        return whole

    def virtual(self, name: str, **fields: Any) -> str:
        """A virtual model; its whole name."""
        made(self.http, self.virtual_models, name=name, **fields)
        return f"{self.name}/{name}"

    def secret(self, name: str, value: str) -> str:
        made(self.http, self.secrets, name=name, value=value)
        return name

    def alias(self, name: str, model: str, **fields: Any) -> str:
        made(self.http, f"/apis/models/v2/workspaces/{self.name}/aliases", name=name, model=model, **fields)
        return f"{self.name}/{name}"

    def limit(self, name: str, **fields: Any) -> None:
        made(self.http, limits(self.name), name=name, **fields)

    def patch(self, model: str, **fields: Any) -> dict[str, Any]:
        """Changes a model."""
        answer = self.http.patch(f"{self.models}/{model}", json=fields)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    def ask(self, model: str, route: str = CHAT, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """A request by the short form; a name without a workspace is of this one."""
        named = model if "/" in model else f"{self.name}/{model}"
        return self.http.post(route, json={**question(route, named), **more}, headers=headers)

    def asks(self, model: str, route: str = CHAT, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """The same, where it must work; what is answered."""
        answer = self.ask(model, route, headers, **more)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said


def last(engine: Upstream) -> Seen:
    """The last request that an engine has seen."""
    return engine.requests[-1]


def sent(engine: Upstream) -> dict[str, Any]:
    """Its body."""
    body: dict[str, Any] = last(engine).json
    return body
