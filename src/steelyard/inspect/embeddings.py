"""Whether a checkpoint is an embedding model: one that comes with the module that pools its states into a vector."""

from steelyard.inspect.config import MAX_CONFIG
from steelyard.inspect.reading import Reading

_MODULES = "modules.json"
_SENTENCE = "config_sentence_transformers.json"


def pooling(reading: Reading) -> str | None:
    """Where the checkpoint says that its states are pooled into one vector, or None if nothing says so."""
    modules = reading.json(_MODULES, MAX_CONFIG)
    kinds = [item.get("type") for item in modules if isinstance(item, dict)] if isinstance(modules, list) else []
    if any(isinstance(kind, str) and kind.rpartition(".")[2] in {"Pooling", "WeightedLayerPooling"} for kind in kinds):
        return f"{_MODULES}: a Pooling module"
    if _MODULES not in reading.sizes and any(path.endswith("_Pooling/config.json") for path in reading.sizes):
        return "a Pooling module's config.json"
    values = reading.json_object(_SENTENCE, MAX_CONFIG) or {}
    if values.get("model_type") == "SentenceTransformer":
        return f"{_SENTENCE}: model_type"
    return None
