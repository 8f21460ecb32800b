"""Keras models: layers that bring Python code of their own, as far as it shows without building the model."""

import json
import re
from collections.abc import Iterator
from typing import Any

from steelyard.inspect.findings import Level, Read, Report, shown
from steelyard.inspect.imports import classify

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_CONFIG = 8 << 20

_HOMES = frozenset({"keras", "tf_keras", "builtins", "keras_hub", "keras_nlp", "keras_cv"})
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"Lambda"')
_LAMBDA_SAID = "has a Lambda layer, which holds Python code"


def config_findings(config: bytes) -> Iterator[tuple[Level, str]]:
    """What the `config.json` of a `.keras` file would have loaded beside Keras's own layers."""
    try:
        document = json.loads(config)
    except (ValueError, RecursionError):
        yield "suspicious", "is not JSON that can be read"
        return
    for part in _objects(document):
        name, module = part.get("class_name"), part.get("module")
        if name == "Lambda":
            yield "suspicious", _LAMBDA_SAID
        if isinstance(name, str) and isinstance(module, str) and module.partition(".")[0] not in _HOMES:
            level: Level = "dangerous" if classify(module, name) == "dangerous" else "suspicious"
            yield level, f"loads {shown(f'{module}.{name}')}, which is not of Keras"


def scan_hdf5(read: Read, size: int, report: Report, where: str) -> None:
    """Tells of Lambda layers in the configuration that an HDF5 file holds as text, at its start or its end."""
    for offset in {0, max(size - MAX_CONFIG, 0)}:
        data = read(offset, min(MAX_CONFIG, size))
        report.spend_bytes(len(data))
        if _LAMBDA.search(data):
            report.find("suspicious", where, _LAMBDA_SAID)


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
