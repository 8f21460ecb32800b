"""The models that every contestant holds, and the requests that are made of them."""

import json
from collections.abc import Iterator
from math import gcd
from urllib.parse import quote

MODELS_PATH = "/apis/models/v2/workspaces/default/models"

_FAMILIES = (
    ("llama", "meta/llama-3.1-8b-instruct", 32, 4096, 32, 8, 14336, 128256, 8_030_261_248),
    ("qwen2", "Qwen/Qwen2.5-7B-Instruct", 28, 3584, 28, 4, 18944, 152064, 7_615_616_512),
    ("mistral", "mistralai/Mistral-7B-v0.3", 32, 4096, 32, 8, 14336, 32768, 7_248_023_552),
    ("nemotron", "nvidia/Nemotron-Mini-4B-Instruct", 32, 3072, 24, 8, 9216, 256000, 4_193_813_504),
)
_FINETUNING_TYPES = ("lora", "all_weights", "dpo", "qlora")
_BASE_MODELS = 40


def name_of(number: int) -> str:
    """The name of model `number`, counted from 0; five digits, so that names sort as numbers do."""
    return f"m-{number:05d}"


def model(number: int) -> dict[str, object]:
    """The body that creates model `number`: about 900 bytes of JSON, without linear_layers."""
    family, checkpoint, layers, hidden, heads, kv_heads, ffn, vocabulary, parameters = _FAMILIES[number % 4]
    team = f"team-{number % 17}"
    return {
        "name": name_of(number),
        "description": f"{checkpoint} tuned on tickets of {team}, run {number}, kept after evaluation.",
        "base_model": f"default/base-{number % _BASE_MODELS}",
        "finetuning_type": _FINETUNING_TYPES[number // 4 % 4],
        "custom_fields": {"team": team, "stage": "candidate", "run": number, "score": number / 1e5},
        "ownership": {"owner": f"person-{number % 23}@example.com", "cost_center": f"cc-{number % 7}"},
        "spec": {
            "checkpoint_model_name": checkpoint,
            "family": family,
            "num_layers": layers,
            "hidden_size": hidden,
            "num_attention_heads": heads,
            "num_kv_heads": kv_heads,
            "ffn_hidden_size": ffn,
            "vocab_size": vocabulary,
            "tied_embeddings": False,
            "gated_mlp": True,
            "base_num_parameters": parameters,
            "precision": "bf16",
            "context_size": 131072,
            "is_chat": True,
        },
    }


def answer(number: int) -> dict[str, object]:
    """What a registry answers for model `number`: the limits serve and keep records of this size."""
    sent = model(number)
    spec: dict[str, object] = {
        "context_size": None,
        "num_virtual_tokens": None,
        "is_chat": None,
        "is_embedding_model": False,
        "moe_config": None,
        "mamba_config": None,
        "sliding_window_config": None,
        "linear_layers": None,
        "chat_template": None,
        "tool_call_config": None,
        "minimum_gpus_all_weights": None,
        "minimum_gpus_lora": None,
    }
    kept = sent["spec"]
    if isinstance(kept, dict):
        spec.update(kept)
    return {
        "id": f"model-{number:022d}",
        "workspace": "default",
        "project": None,
        "created_at": "2026-11-23T09:48:30.626049",
        "updated_at": "2026-11-23T09:48:30.626049",
        "fileset": None,
        "trust_remote_code": False,
        "api_endpoint": None,
        "backend_format": None,
        "adapters": [],
        "prompt": None,
        "model_providers": [],
        **sent,
        "spec": spec,
    }


def paths(operation: str, models: int) -> list[str]:
    """The paths that one run of `operation` goes through in turn, on a registry that holds `models`."""
    if operation in ("get", "patch"):
        return [f"{MODELS_PATH}/{name_of(number)}" for number in _spread(models)]
    if operation == "hot":
        return [f"{MODELS_PATH}/{name_of(models // 2)}"]
    if operation == "create":
        return [MODELS_PATH]
    return [f"{MODELS_PATH}?{query}" for query in _queries(operation)]


def create_bodies() -> Iterator[str]:
    """JSON bodies with the placeholder NAME for a name, one a line, for the script that creates models."""
    for number in range(64):
        yield json.dumps({**model(number), "name": "NAME"}, separators=(",", ":"))


def _spread(models: int) -> Iterator[int]:
    """Every number below `models` once, neighbours far apart: a short run touches the whole table."""
    step = 7919
    while gcd(step, models) != 1:
        step += 1
    return (turn * step % models for turn in range(models))


def _queries(operation: str) -> Iterator[str]:
    if operation == "list":
        yield "page_size=100"
    elif operation == "like":
        # "m-0042" is in ten names, however many models there are
        yield from (f"filter%5Bname%5D%5B%24like%5D=m-{part:04d}" for part in range(0, 100, 3))
    elif operation == "type":
        yield from (f"filter%5Bfinetuning_type%5D={kind}" for kind in _FINETUNING_TYPES)
    elif operation == "base":
        yield from (f"filter%5Bbase_model%5D=default%2Fbase-{base}" for base in range(_BASE_MODELS))
    elif operation == "text":
        for part in range(0, 100, 3):
            yield "filter=" + quote(f'name~"m-{part:04d}" AND finetuning_type:"lora"', safe="")
    else:
        raise ValueError(f"no such operation: {operation}")
