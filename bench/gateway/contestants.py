"""How the mock and each gateway before it are started, and what each must be told before it passes a request on."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench import peer
from bench.connection import Connection
from bench.gateway.sides import Case, Route, Side
from bench.load import LoadError, create_models
from bench.plain_files import find_nginx
from bench.records import MODELS_PATH, name_of
from bench.server import Recipe, Server

LITELLM = "litellm[proxy]==1.108.7"

_ROOT = Path(__file__).parent.parent.parent
_MODELS = 100
_CHAT = "/v1/chat/completions"
_PROVIDERS = "/apis/models/v2/workspaces/default/providers"
_LIMITS = "/apis/steelyard/v1/workspaces/default/limits"
_GATEWAY = "/apis/inference-gateway/v2/workspaces/default"
# The peer reads its routes anew every three seconds.
_PEER_LIMIT_S = 30.0
_SPECIAL = {Case.TRANSLATED: "translated", Case.PROMPT: "prompted", Case.LIMITS: "limited"}
_SYSTEM_PROMPT = (
    "You are the support desk's assistant. Answer from the records alone, and say so when they do not tell."
)

_NGINX = """
worker_processes 1;
daemon off;
pid {data}/nginx.pid;
error_log {data}/error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {data}/body;
    proxy_temp_path {data}/proxy;
    fastcgi_temp_path {data}/fastcgi;
    uwsgi_temp_path {data}/uwsgi;
    scgi_temp_path {data}/scgi;
    upstream mock {{
        server 127.0.0.1:{upstream};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /health/ready {{ return 200 "ready"; }}
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""

# As its page on production advises, and without retries and callbacks as in its own benchmark.
_LITELLM = """
model_list:
  - model_name: mock
    litellm_params:
      model: openai/mock
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: none
litellm_settings:
  set_verbose: false
  json_logs: true
  callbacks: []
  num_retries: 0
  request_timeout: 600
"""


def mock() -> Recipe:
    """The upstream."""

    def command(port: int, _data: Path) -> list[str]:
        return [sys.executable, "-m", "bench.gateway.mock_upstream", str(port)]

    return Recipe("the mock", command, lambda _data, _models: {"PYTHONPATH": str(_ROOT)})


def nginx(upstream: int) -> Recipe:
    """nginx as a plain reverse proxy: one worker, connections to the upstream kept, nothing buffered or logged."""

    def command(port: int, data: Path) -> list[str]:
        data.chmod(0o755)
        config = data / "nginx.conf"
        config.write_text(_NGINX.format(data=data, port=port, upstream=upstream))
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        return [find_nginx() or "nginx", "-c", str(config), "-p", str(data), *user]

    return Recipe("nginx", command, lambda _data, _models: {})


def litellm_folder() -> Path:
    """LiteLLM's virtual environment."""
    return peer.cache_folder() / "litellm"


def install_litellm() -> None:
    """Make LiteLLM's environment unless it is there. Raises subprocess.CalledProcessError when that fails."""
    peer.make_environment(litellm_folder(), LITELLM)


def litellm(upstream: int) -> Recipe:
    """The LiteLLM proxy: one worker, no database, its logs off, and no key to check."""

    def command(port: int, data: Path) -> list[str]:
        config = data / "config.yaml"
        config.write_text(_LITELLM.format(upstream=upstream))
        program = [str(litellm_folder() / "bin" / "litellm"), "--config", str(config)]
        return [*program, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]

    def environment(data: Path, _models: int) -> dict[str, str]:
        return {
            "HOME": str(data),
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }

    return Recipe("LiteLLM", command, environment, ready="/health/liveliness")


def route(side: Side, case: Case = Case.PLAIN) -> Route:
    """Where to send requests to a side; ours asks for all of its models in turn."""
    if side is Side.PEER:
        return Route(f"{_GATEWAY}/openai/-{_CHAT}", ("default/mock",))
    if side is not Side.OURS:
        return Route(_CHAT)
    if case in _SPECIAL:
        return Route(_CHAT, (f"default/{_SPECIAL[case]}",))
    return Route(_CHAT, tuple(f"default/{name_of(number)}" for number in range(_MODELS)))


def tell_ours(server: Server, upstream: int) -> None:
    """100 models of one provider, and one model for each case, behind the mock. Raises LoadError."""
    create_models(server.url, 0, _MODELS, workers=4, seconds=60)
    names = [name_of(number) for number in range(_MODELS)] + list(_SPECIAL.values())
    connection = Connection(server)
    for name, more in _special_models().items():
        connection.ask("POST", MODELS_PATH, {"name": name, **more})
    served = [{"model_entity_id": name, "served_model_name": "mock"} for name in names]
    provider = {"name": "mock", "host_url": f"http://127.0.0.1:{upstream}/v1", "discover": False, "status": "READY"}
    connection.ask("POST", _PROVIDERS, {**provider, "served_models": served})
    for name, rule in _limits().items():
        model = f"default/{_SPECIAL[Case.LIMITS]}"
        connection.ask("POST", _LIMITS, {"name": name, "model": model, "per_key": False, **rule})
    connection.close()


def tell_peer(server: Server, upstream: int) -> None:
    """One model, provider and virtual model, and wait until its gateway has read them. Raises LoadError."""
    connection = Connection(server)
    connection.ask("POST", MODELS_PATH, {"name": "mock", "backend_format": "OPENAI_CHAT"})
    connection.ask("POST", _PROVIDERS, {"name": "mock", "host_url": f"http://127.0.0.1:{upstream}/v1"})
    served = [{"model_entity_id": "default/mock", "served_model_name": "mock"}]
    status = {"status": "READY", "status_message": "", "served_models": served}
    connection.ask("PUT", f"{_PROVIDERS}/mock/status", status)
    virtual = {"name": "mock", "default_model_entity": "default/mock"}
    connection.ask("POST", f"{_GATEWAY}/virtual-models", virtual)
    connection.close()


def wait_until_it_answers(server: Server, where: Route) -> None:
    """Ask until the answer is the mock's. Raises LoadError when it never is."""
    until = time.monotonic() + _PEER_LIMIT_S
    body = json.loads(where.bodies()[0])
    while True:
        connection = Connection(server)
        try:
            said = connection.ask("POST", where.path, body)
        except LoadError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
            continue
        finally:
            connection.close()
        if b"A registry keeps the record" not in said:
            raise LoadError(f"{server.name} did not answer with the mock's words: {said[:200]!r}")
        return


def _special_models() -> dict[str, dict[str, Any]]:
    return {
        _SPECIAL[Case.TRANSLATED]: {"backend_format": "ANTHROPIC_MESSAGES"},
        _SPECIAL[Case.PROMPT]: {
            "prompt": {"system_prompt": _SYSTEM_PROMPT, "inference_params": {"temperature": 0.1, "top_p": 0.9}}
        },
        _SPECIAL[Case.LIMITS]: {"pricing": {"currency": "USD", "input": 1.0, "output": 4.0}},
    }


def _limits() -> dict[str, dict[str, Any]]:
    """Three that are never reached."""
    return {
        "requests": {"requests_per_minute": 100_000_000},
        "tokens": {"tokens_per_minute": 1_000_000_000},
        "money": {"budget": {"amount": 1_000_000, "currency": "USD", "period": "month"}},
    }
