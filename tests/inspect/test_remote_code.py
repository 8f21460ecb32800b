"""Whether a checkpoint needs code of its own, where it is, and what of it is somewhere else."""

import pytest

from steelyard.inspect.checkpoint import inspect_checkpoint
from steelyard.inspect.remote_code import RemoteCode
from tests.inspect.checkpoints import LLAMA, Files


def _code(**files: object) -> RemoteCode:
    named = {name.replace("__", "."): content for name, content in files.items()}
    return inspect_checkpoint(Files({"config.json": LLAMA, **named})).remote_code


def test_most_models_need_none() -> None:
    assert _code() == RemoteCode()


def test_a_family_of_its_own_needs_its_code() -> None:
    auto_map = {"AutoConfig": "configuration_x.XConfig", "AutoModelForCausalLM": "modeling_x.XModel"}

    code = _code(config__json={"model_type": "x", "auto_map": auto_map}, modeling_x__py="", configuration_x__py="")

    assert code.needed
    assert code.auto_map["config.json: AutoModelForCausalLM"] == "modeling_x.XModel"
    assert code.files == ("configuration_x.py", "modeling_x.py")
    assert code.elsewhere == ()
    assert "family x" in code.reasons[0]


def test_a_known_family_may_offer_code_without_needing_it() -> None:
    code = _code(config__json={**LLAMA, "auto_map": {"AutoModel": "modeling.Model"}}, modeling__py="")

    assert not code.needed
    assert code.auto_map
    assert "transformers has itself" in code.reasons[0]


def test_code_of_another_repository_is_named() -> None:
    code = _code(config__json={"model_type": "x", "auto_map": {"AutoModel": "someone/else--modeling.Model"}})

    assert code.needed
    assert code.elsewhere == ("someone/else",)


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config__json": {"auto_map": {"AutoTokenizer": ["tokenization.Slow", None]}}},
        {"tokenizer_config__json": {"auto_map": ["tokenization.Slow", None]}},
        {"processor_config__json": {"auto_map": {"AutoProcessor": "processing.Processor"}}},
        {"modules__json": [{"idx": 0, "type": "custom_st.Transformer"}]},
    ],
)
def test_other_files_may_need_code_too(files: dict[str, object]) -> None:
    code = _code(**files)

    assert code.needed
    assert len(code.auto_map) == 1


def test_python_files_are_shown_even_where_nothing_names_them() -> None:
    code = inspect_checkpoint(Files({"config.json": LLAMA, "sub/Extra.PY": "", "x.pyc": "", "py": ""})).remote_code

    assert not code.needed
    assert code.files == ("sub/Extra.PY",)
    assert "no JSON file asks" in code.reasons[0]


@pytest.mark.parametrize("auto_map", [7, {"AutoModel": 7}, {"AutoModel": "x" * 1000}, {"AutoModel": "a\0b"}])
def test_an_auto_map_of_other_things_is_a_fault(auto_map: object) -> None:
    inspection = inspect_checkpoint(Files({"config.json": {**LLAMA, "auto_map": auto_map}}))

    assert "auto_map" in inspection.faults[0].message
    assert inspection.remote_code.auto_map == {}
