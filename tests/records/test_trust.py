"""What counts as code, and by which rule it may be trusted."""

import pytest

from steelyard.records.trust import BY_CALLER, AllowLists, code_files, is_code, rule_for

ALLOWED = AllowLists(huggingface=("nvidia/.*", "me/exact"), ngc=("nvidia/nemo/.*", "["))


@pytest.mark.parametrize("path", ["modeling_x.py", "deep/a.PY", "x.so", "x.pyd", "b.dylib"])
def test_what_an_engine_would_run_is_code(path: str) -> None:
    assert is_code(path)


@pytest.mark.parametrize("path", ["config.json", "model.safetensors", "README.md", "py"])
def test_what_it_only_reads_is_not(path: str) -> None:
    assert not is_code(path)


def test_trust_is_given_to_code_and_to_pickles_that_run_something_dangerous() -> None:
    files = [("b.py", "2", None), ("a.py", "1", None), ("c.json", "3", None), ("d.bin", "4", "dangerous")]
    assert code_files([*files, ("e.bin", "5", "clean")]) == {"a.py": "1", "b.py": "2", "d.bin": "4"}


@pytest.mark.parametrize(
    ("storage", "rule"),
    [
        ({"type": "huggingface", "repo_id": "nvidia/Nemotron-H"}, "allow list huggingface: nvidia/.*"),
        ({"type": "huggingface", "repo_id": "me/exact"}, "allow list huggingface: me/exact"),
        ({"type": "huggingface", "repo_id": "xnvidia/a"}, BY_CALLER),
        ({"type": "huggingface", "repo_id": "me/exactly"}, BY_CALLER),
        ({"type": "ngc", "org": "nvidia", "team": "nemo", "target": "m"}, "allow list ngc: nvidia/nemo/.*"),
        ({"type": "ngc", "org": "nvidia", "team": "", "target": "m"}, BY_CALLER),
        ({"type": "local", "path": ""}, BY_CALLER),
        (None, BY_CALLER),
    ],
)
def test_an_allow_list_speaks_of_the_whole_name_of_a_source(storage: dict[str, str] | None, rule: str) -> None:
    assert rule_for(ALLOWED, storage) == rule
