import base64
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from steelyard.cli.server import settings_page
from steelyard.errors import StartupError

from .conftest import RunCli

DOCS = Path(__file__).parents[2] / "docs"
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings that `serve` was called with; the server itself has tests of its own."""
    calls: list[Any] = []
    module = types.ModuleType("steelyard.app")
    module.serve = calls.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "steelyard.app", module)
    return calls


def test_serve_takes_flags_over_environment_over_file(cli: RunCli, served: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('host = "file"\nport = 1\n[log]\nlevel = "error"\n')
    run = cli(
        *("serve", "--port", "0", "--data-dir", "d", "--config", str(file), "--set", "log.access=false"),
        env={"STEELYARD_HOST": "env", "STEELYARD_PORT": "2"},
    )
    assert run.code == 0
    [settings] = served
    assert (settings.host, settings.port, settings.data_dir) == ("env", 0, Path("d"))
    assert (settings.log.level, settings.log.access) == ("error", False)


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["--set", "prot=1"], "did you mean port?", 3),
        (["--set", "port=x"], 'port must be a whole number from 0 to 65535, not "x"', 3),
        (["--config", "/nowhere/s.toml"], "cannot read the settings file /nowhere/s.toml", 3),
        (["--set", "hunter2"], "--set needs KEY=VALUE", 2),
        (["--set", "master_key=hunter2"], "master_key must be 32 bytes in base64", 3),
    ],
)
def test_serve_with_wrong_settings_is_one_line(
    cli: RunCli, served: list[Any], arguments: list[str], said: str, code: int
) -> None:
    run = cli("serve", *arguments)
    assert (run.code, served) == (code, [])
    assert run.err.count("\n") == 1
    assert said in run.err
    assert "hunter2" not in run.err


def test_serve_that_cannot_start_is_one_line(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(settings: Any) -> None:
        raise StartupError(f"port {settings.port} is taken")

    module = types.ModuleType("steelyard.app")
    module.serve = serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "steelyard.app", module)
    run = cli("serve")
    assert (run.code, run.err) == (3, "steelyard: port 8080 is taken\n")


def test_settings_show_says_where_each_value_comes_from(cli: RunCli) -> None:
    env = {"STEELYARD_LOG__LEVEL": "debug", "STEELYARD_MASTER_KEY": KEY}
    shown = json.loads(cli("settings", "show", "--set", "port=9", "--json", env=env).out)
    assert shown["log.level"] == {"value": "debug", "from": "STEELYARD_LOG__LEVEL"}
    assert shown["port"] == {"value": 9, "from": "the command line"}
    assert shown["host"] == {"value": "127.0.0.1", "from": "default"}
    assert shown["master_key"] == {"value": "(set)", "from": "STEELYARD_MASTER_KEY"}
    table = cli("settings", "show", env=env).out
    assert "STEELYARD_LOG__LEVEL" in table
    assert KEY not in table


def test_the_settings_page_is_what_the_code_says(cli: RunCli) -> None:
    assert cli("settings", "docs").out == settings_page()
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), (
        "run: python -m steelyard settings docs > docs/settings.md"
    )
