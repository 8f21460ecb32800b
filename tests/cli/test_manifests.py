"""Manifest files: what they may say, and what is said about those that say something else."""

from pathlib import Path

import pytest

from steelyard.cli.errors import UsageError
from steelyard.cli.manifests import Manifest, read_manifests
from steelyard.cli.strict_yaml import yaml_values
from steelyard.cli.values import Reader

ONE = "kind: model\nname: m\nrecord: {description: d}\n"


def read(path: Path, text: str, workspace: str = "home") -> list[Manifest]:
    path.write_text(text)
    return read_manifests([str(path)], workspace, Reader())


def test_documents_and_lists_of_yaml(tmp_path: Path) -> None:
    both = "- {kind: project, name: p, workspace: team}\n- {kind: workspace, name: team}\n"
    text = f"# a file\n---\n{ONE}---\n---\n{both}"
    file = tmp_path / "a.yaml"
    assert read(file, text) == [
        Manifest("model", "home", "m", {"description": "d"}, f"{file}:3"),
        Manifest("project", "team", "p", {}, f"{file}:8"),
        Manifest("workspace", "", "team", {}, f"{file}:8"),
    ]


def test_json_values_one_after_the_other_and_the_lines_of_an_export(tmp_path: Path) -> None:
    text = (
        '{"steelyard_export": 1}\n{"kind": "workspace", "record": {}}\n{"kind": "prompt", "name": "p", "record": {}}\n'
    )
    for name in ("a.ndjson", "a.json", "a.jsonl", "export"):
        file = tmp_path / name
        assert read(file, text, "new") == [
            Manifest("workspace", "", "new", {}, f"{file}:2"),
            Manifest("prompt", "new", "p", {}, f"{file}:3"),
        ]
    assert [one.name for one in read(tmp_path / "b.json", '[{"kind": "model", "name": "x"}]')] == ["x"]


def test_a_folder_is_read_with_all_below_it_but_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.yml", "a/c.yaml", "notes.md", ".git/x.yaml", "a/.hidden.yaml"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"kind: model\nname: {file.stem.strip('.')}\n")
    found = read_manifests([str(tmp_path)], "home", Reader())
    assert [one.name for one in found] == ["c", "b"]


def test_all_workspaces_are_no_place_for_a_record(tmp_path: Path) -> None:
    for text in (ONE, "kind: model\nname: m\nworkspace: '-'\n", "kind: workspace\nname: '-'\n"):
        with pytest.raises(UsageError, match="is no workspace"):
            read(tmp_path / "a.yaml", text, "-")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no manifests"),
        ("kind: model\n", "`name` must be a text"),
        ("kind: model\nname: 7\n", "`name` must be a text"),
        ("kind: Model\nname: m\n", "`kind` must be one of workspace, project, prompt, model"),
        ("kind: model\nname: m\nrecord: text\n", "`record` must be an object"),
        ("kind: model\nname: m\nworkspace: 1\n", "`workspace` must be a text"),
        ("kind: model\nname: m\nrecrod: {}\n", "did you mean 'record'?"),
        ("kind: model\nname: m\nspec: {}\n", "a manifest has kind, name, workspace, record"),
        ("text\n", "a manifest is an object"),
        ("steelyard_export: 2\n", "an export of version 2"),
        (f"{ONE}---\n{ONE}", "a.yaml:1 already"),
        ("kind: model\nkind: model\n", "'kind' stands twice (line 2, column 1)"),
        ("kind: [\n", "not YAML"),
    ],
)
def test_what_is_no_manifest_is_said_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path / "a.yaml", text)
    assert said in caught.value.message
    assert caught.value.message.startswith(("no manifests", f"{tmp_path / 'a.yaml'}"))


def test_a_file_that_is_not_there_and_one_that_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_manifests([str(tmp_path / "gone.yaml")], "home", Reader())
    with pytest.raises(UsageError, match=r"a\.json is not JSON: .*line 2"):
        read(tmp_path / "a.json", '{"kind": "model", "name": "m"}\n{')
    with pytest.raises(UsageError, match="stands twice"):
        read(tmp_path / "a.json", '{"kind": "model", "kind": "model"}')


def test_yaml_says_what_json_would_say() -> None:
    text = "a: yes\nb: 012\nc: 2024-01-01\nd: 1.5e3\ne:\nf: ~\ng: true\nh: -3\n"
    text += "i: .5\nj: ''\nk: 0x1f\nl: 1:30\nm: 1_0\nn: .inf"
    [(_, value)] = yaml_values(text, "f")
    assert value == {
        **{"a": "yes", "b": "012", "c": "2024-01-01", "d": 1500.0, "e": None, "f": None, "g": True, "h": -3},
        **{"i": 0.5, "j": "", "k": "0x1f", "l": "1:30", "m": "1_0", "n": ".inf"},
    }


def test_anchors_repeat_and_merge() -> None:
    [(_, value)] = yaml_values("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\n", "f")
    assert value == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        *("a: 1\na: 2", "1: x", "a: &a [*a]", "? [a]\n: b", "a: 1e999", "a: *nowhere", "\x01", "a: !!set {x}"),
        *("a: !!binary aGk=", "a: !!python/object/apply:os.system [echo]", "[" * 5000, BOMB, "%YAML 1", "a: 'x"),
    ],
)
def test_yaml_that_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^f\b") as caught:
        list(yaml_values(text, "f"))
    assert "\n" not in caught.value.message
