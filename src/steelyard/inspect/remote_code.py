"""Whether a checkpoint brings code of its own that a library would run, and which files that is.

Nothing of it is run, imported or parsed here: the files are named, so that trust can be given to their bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.inspect.config import FILE, MAX_CONFIG, ModelConfig
from steelyard.inspect.defaults import DEFAULTS
from steelyard.inspect.reading import Reading, is_clean_text
from steelyard.inspect.tokenizer import MAX_TOKENIZER_CONFIG

_OTHERS = {
    "tokenizer_config.json": MAX_TOKENIZER_CONFIG,
    "processor_config.json": MAX_CONFIG,
    "preprocessor_config.json": MAX_CONFIG,
    "video_preprocessor_config.json": MAX_CONFIG,
    "feature_extractor_config.json": MAX_CONFIG,
}
_MODULES = "modules.json"
_OWN_MODULES = "sentence_transformers."
_GENERATE = "custom_generate/generate.py"
_MAX_ENTRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCode:
    """The code of a checkpoint.

    `needed`: the model cannot be loaded without it; `auto_map` is what its JSON files ask to be imported, by file and
    class; `files` are all Python files; `elsewhere` are repositories from which the checkpoint asks to import code (no
    approval of these bytes covers those); `reasons` say in sentences what was found.
    """

    needed: bool = False
    auto_map: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def read_remote_code(reading: Reading, config: ModelConfig | None) -> RemoteCode:
    """What code the checkpoint brings and asks for."""
    files = tuple(sorted(path for path in reading.sizes if path.lower().endswith(".py")))
    auto_map: dict[str, str] = {}
    reasons: list[str] = []
    needed = False
    if config is not None:
        named = _entries(reading, FILE, config.whole.values)
        if config.text is not config.whole:
            named |= _entries(reading, f"{FILE}: {config.text.prefix.rstrip('.')}", config.text.values)
        auto_map |= named
        needed = bool(named) and _is_foreign(config, reasons)
    for path, limit in _OTHERS.items():
        values = reading.json_object(path, limit)
        named = _entries(reading, path, values) if values is not None else {}
        if named:
            auto_map |= named
            reasons.append(f"{path} asks to import code")
            needed = True
    for kind in _modules(reading):
        auto_map[f"{_MODULES}: {kind}"] = kind
        reasons.append(f"{_MODULES} asks to import {kind}")
        needed = True
    if _GENERATE in reading.sizes:
        reasons.append(f"{_GENERATE} is run where generation is asked to use the checkpoint's own")
    elsewhere = tuple(sorted({name.partition("--")[0] for name in auto_map.values() if "--" in name}))
    if elsewhere:
        reasons.append(f"code is imported from other repositories: {', '.join(elsewhere)}")
    if files and not auto_map:
        reasons.append("Python files are here, which no JSON file asks to import")
    return RemoteCode(needed=needed, auto_map=auto_map, files=files, elsewhere=elsewhere, reasons=tuple(reasons))


def _is_foreign(config: ModelConfig, reasons: list[str]) -> bool:
    family = config.whole.family
    if family in DEFAULTS:
        reasons.append(f"{FILE} offers code in auto_map, but {family} is a family that transformers has itself")
        return False
    named = f"the family {family}" if family is not None else "a model without a model_type"
    reasons.append(f"{FILE} asks in auto_map to import code, for {named}, which is not known to load without")
    return True


def _entries(reading: Reading, place: str, values: Mapping[str, Any]) -> dict[str, str]:
    """`{"config.json: AutoModel": "modeling.Model"}`, for each class of an `auto_map`."""
    auto_map = values.get("auto_map")
    if auto_map is None:
        return {}
    path = place.partition(":")[0]
    # Older tokenizers name their slow and fast class in a list, without an object around it.
    pairs = auto_map.items() if isinstance(auto_map, dict) else [("AutoTokenizer", auto_map)]
    found: dict[str, str] = {}
    for key, value in pairs:
        names = value if isinstance(value, list) else [value]
        for number, name in enumerate(item for item in names if item is not None):
            if not isinstance(name, str) or len(name) > 255 or len(key) > 100 or not is_clean_text(f"{key}{name}"):
                reading.fault(path, "auto_map must map names of classes to `file.Class`")
            elif len(found) < _MAX_ENTRIES:
                found[f"{place}: {key}" if number == 0 else f"{place}: {key} ({number + 1})"] = name
    return found


def _modules(reading: Reading) -> list[str]:
    modules = reading.json(_MODULES, MAX_CONFIG)
    kinds = [item.get("type") for item in modules if isinstance(item, dict)] if isinstance(modules, list) else []
    own = [kind for kind in kinds if isinstance(kind, str) and not kind.startswith(_OWN_MODULES)]
    return [kind for kind in own if len(kind) <= 255 and is_clean_text(kind)][:_MAX_ENTRIES]
