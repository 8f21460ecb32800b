"""The files of a model's weights: found by their index, else by their names."""

import pytest

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from steelyard.inspect.reading import MAX_FAULTS
from steelyard.inspect.shards import weights_format
from tests.inspect.checkpoints import LLAMA, Files, llama_tensors, safetensors

_INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["config.json", "model.safetensors", "model.gguf", "pytorch_model.bin"], "safetensors"),
        (["model-00001-of-00002.safetensors"], "safetensors"),
        ([_INDEX], "safetensors"),
        (["model.Q4_K_M.gguf"], "gguf"),
        (["pytorch_model-00001-of-00002.bin"], "pickle"),
        (["weights.pth"], "pickle"),
        (["adapter_model.safetensors", "adapter_config.json"], "none"),
        (["onnx/model.safetensors", "training_args.bin"], "none"),
        ([], "none"),
    ],
)
def test_the_format_is_that_of_the_models_own_weights(paths: list[str], expected: str) -> None:
    assert weights_format(paths) == expected


def _sharded(placed: dict[str, str] | None, shards: dict[str, list[str]]) -> Inspection:
    """LLAMA, whose shards hold the tensors that `shards` names, under an index that says `placed`."""
    tensors = llama_tensors()
    files: dict[str, object] = {"config.json": LLAMA}
    longer = {}
    for path, names in shards.items():
        files[path], longer[path] = safetensors({name: tensors[name] for name in names})
    if placed is not None:
        files[_INDEX] = {"metadata": {}, "weight_map": placed}
    return inspect_checkpoint(Files(files, longer), "model")


_NAMES = list(llama_tensors())
_ONE, _TWO = _NAMES[:5], _NAMES[5:]
_PLACED = {**dict.fromkeys(_ONE, "a.safetensors"), **dict.fromkeys(_TWO, "b.safetensors")}


def test_shards_are_read_as_their_index_says() -> None:
    inspection = _sharded(_PLACED, {"a.safetensors": _ONE, "b.safetensors": _TWO, "other.safetensors": _ONE})

    assert inspection.faults == ()
    assert inspection.complete()
    assert "other.safetensors" not in {file.path for file in inspection.read}


def test_without_an_index_all_shards_are_read() -> None:
    inspection = _sharded(
        None, {"model-1.safetensors": _ONE, "model-2.safetensors": _TWO, "consolidated.safetensors": _ONE}
    )

    assert inspection.faults == ()
    assert inspection.complete()


@pytest.mark.parametrize(
    ("placed", "shards", "path", "message"),
    [
        (_PLACED, {"a.safetensors": _ONE}, "b.safetensors", "is missing"),
        (_PLACED, {"a.safetensors": _ONE, "b.safetensors": _TWO[1:]}, "b.safetensors", "lacks"),
        (_PLACED, {"a.safetensors": [*_ONE, _TWO[0]], "b.safetensors": _TWO[1:]}, _INDEX, "but it is in a.safetensors"),
        (_PLACED, {"a.safetensors": _ONE, "b.safetensors": [*_TWO, _ONE[0]]}, "b.safetensors", "holds too"),
        (
            {**_PLACED, "x": "../../etc/passwd"},
            {"a.safetensors": _ONE, "b.safetensors": _TWO},
            "../../etc/passwd",
            "missing",
        ),
        ({**_PLACED, "x": "\0"}, {"a.safetensors": _ONE, "b.safetensors": _TWO}, "\\x00", "missing"),
        (dict(list(_PLACED.items())[1:]), {"a.safetensors": _ONE, "b.safetensors": _TWO}, _INDEX, "does not place"),
    ],
)
def test_an_index_that_lies_is_told(
    placed: dict[str, str], shards: dict[str, list[str]], path: str, message: str
) -> None:
    faults = _sharded(placed, shards).faults

    assert [fault.path for fault in faults] == [path]
    assert message in faults[0].message


@pytest.mark.parametrize(
    "index", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', '{"weight_map": {}}', "{"]
)
def test_an_index_that_is_none_is_a_fault_and_the_weights_are_unknown(index: str) -> None:
    body, size = safetensors(llama_tensors())
    files = Files({"config.json": LLAMA, "model.safetensors": body, _INDEX: index}, {"model.safetensors": size})

    inspection = inspect_checkpoint(files)

    assert [fault.path for fault in inspection.faults] == [_INDEX]
    assert "base_num_parameters" in inspection.missing


def test_a_flood_of_faults_is_cut() -> None:
    placed = {f"t{number}": f"{number}.safetensors" for number in range(5_000)}

    inspection = _sharded(placed, {})

    assert len(inspection.faults) == MAX_FAULTS


def test_an_index_of_more_values_than_tensors_is_not_made() -> None:
    index = '{"weight_map": {"a": [' + "[]," * 3_000_000 + "1]}}"

    inspection = inspect_checkpoint(Files({"config.json": LLAMA, _INDEX: index}))

    assert "values" in inspection.faults[0].message
