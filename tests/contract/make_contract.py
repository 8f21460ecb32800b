"""Makes `contract.json`: the facts of NeMo Platform 0.3.0's API for the paths that Steelyard serves.

    python tests/contract/make_contract.py OPENAPI.json

`OPENAPI.json` is a document of the platform's core services. What is kept: the paths whose templates match `SERVED`,
and the schemas that they lead to; of these only what a machine reads (types, limits, defaults, required names). The
file is committed, so that the tests need nothing else. Paths that Steelyard comes to serve are added to `SERVED`, and
the file is made again.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

SERVED = re.compile(
    r"/apis/entities/v2/workspaces(/\{name\})?"
    r"|/apis/entities/v2/workspaces/\{workspace\}/projects(/\{name\})?"
    r"|/apis/models/v2/workspaces/\{workspace\}/(models|adapters|prompts)(/\{name\})?"
    r"|/apis/models/v2/workspaces/\{workspace\}/models/\{model_name\}/adapters(/\{adapter\})?"
    r"|/apis/models/v2/workspaces/\{workspace\}/providers(/\{name\}(/status)?)?"
    r"|/apis/inference-gateway/v2/workspaces/\{workspace\}/virtual-models(/\{name\})?"
    r"|/apis/files/v2/workspaces/\{workspace\}/filesets(/\{name\}(/files|/-/\{path\})?)?"
    r"|/apis/secrets/v2/workspaces/\{workspace\}/secrets(/\{name\}(/access)?)?"
    r"|/apis/secrets/v2/rotate-encryption-keys"
    r"|/health/live|/health/ready|/status|/cluster-info"
)
_PROSE = {"description", "summary", "title", "operationId", "tags", "example", "examples"}
FILE = Path(__file__).with_name("contract.json")


def contract_of(document: dict[str, Any]) -> dict[str, Any]:
    """The part of a document that Steelyard answers for."""
    paths = {path: _facts(item) for path, item in document["paths"].items() if SERVED.fullmatch(path)}
    schemas: dict[str, Any] = {}
    waiting = _references(paths)
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = _facts(document["components"]["schemas"][name])
            waiting |= _references(schemas[name])
    return {"paths": paths, "components": {"schemas": dict(sorted(schemas.items()))}}


def _facts(node: Any, *, named: bool = False) -> Any:
    """`node` without prose; in a mapping from names (`named`) every key is a name, also one that looks like prose."""
    if isinstance(node, list):
        return [_facts(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if named or key not in _PROSE}
    return {key: _facts(value, named=not named and key in {"properties", "responses"}) for key, value in kept.items()}


def _references(node: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(node)))


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    FILE.write_text(json.dumps(contract_of(given), indent=1, sort_keys=True) + "\n")
