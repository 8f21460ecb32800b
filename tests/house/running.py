"""Runs the marked blocks of a page, as a reader would who follows it; `pages.py` says what the marks mean."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.house.pages import Block
from tests.house.sources import ROOT

CLIENTS_PYTHON = ROOT / ".venv-clients" / "bin" / "python"
RUNNABLE = {"sh", "console", "python", "toml", "json"}

_BASE = re.compile(r"http://(?:127\.0\.0\.1|localhost):8080")
_BIN = re.compile(r"(?<![\w/])\.venv/bin/")
# A reader sees that an answer is an error; curl by itself does not fail for it.
_CURLRC = "fail-with-body\nsilent\n"
_SECONDS = 120
_MARK = "\x1e"


class NoClientsError(Exception):
    """The block needs the environment of the clients, which is not here."""


@dataclass
class Reader:
    """Somebody who follows a page: in a folder, beside a server."""

    folder: Path
    url: str

    def follow(self, page: Sequence[Block]) -> Iterator[str]:
        """Runs the marked blocks in order and answers what is not as the page says. Raises NoClientsError."""
        printed = ""
        for block in page:
            if block.mark == "run":
                printed, fault = self.run(block)
                if fault:
                    yield f"{block.where}: {fault}"
            elif block.mark == "output" and not shows(block, printed):
                yield f"{block.where}: the block before prints\n{printed}"

    def run(self, block: Block) -> tuple[str, str]:
        """What a block prints, and what is wrong with it (nothing, if it is as the page says)."""
        text = _BIN.sub(f"{Path(sys.executable).parent}/", _BASE.sub(self.url, block.text))
        if block.language == "console":
            return self._converse(block, text)
        if block.language == "json":
            return text, _fault_in_json(text)
        command = ["bash", "-euo", "pipefail", "-c", text]
        if block.language == "python":
            command = [_python(text), "-c", text]
        elif block.language == "toml":
            file = self.folder / f"settings-{block.line}.toml"
            file.write_text(text)
            command = ["steelyard", "settings", "show", "--config", str(file)]
        code, printed = self._call(command)
        return printed, "" if code == block.code else f"exit code {code}, not {block.code}:\n{printed}"

    def _converse(self, block: Block, text: str) -> tuple[str, str]:
        said = list(_conversation(text))
        # One shell for the whole block: a variable that one command sets is there for the next.
        script = "\n".join(f"{command}\nprintf '{_MARK}'" for command, _ in said)
        code, printed = self._call(["bash", "-euo", "pipefail", "-c", script])
        if code != block.code:
            return printed, f"exit code {code}, not {block.code}:\n{printed}"
        for (command, expected), actual in zip(said, printed.split(_MARK), strict=False):
            if expected.strip() and not _matches(expected, actual):
                return printed, f"`{command}` prints\n{actual}"
        return printed.replace(_MARK, ""), ""

    def _call(self, command: list[str]) -> tuple[int, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("STEELYARD_", "NMP_"))}
        (self.folder / ".curlrc").write_text(_CURLRC)
        environ = {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "STEELYARD_URL": self.url,
            "COLUMNS": "120",
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout


def _fault_in_json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError as error:
        return f"not JSON: {error}"
    return ""


def _python(text: str) -> str:
    if "nemo_platform" not in text:
        return sys.executable
    if not CLIENTS_PYTHON.exists():
        raise NoClientsError(f"{CLIENTS_PYTHON.relative_to(ROOT)} is not there; `make test-clients` makes it")
    return str(CLIENTS_PYTHON)


def _conversation(text: str) -> Iterator[tuple[str, str]]:
    """Commands and their outputs. A command goes on in the next line after a backslash or before a `> `."""
    command, output = "", ""
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], ""
        elif command.endswith("\\") or line.startswith("> "):
            command += f"\n{line.removeprefix('> ')}"
        else:
            output += f"{line}\n"
    if command:
        yield command, output


def shows(block: Block, printed: str) -> bool:
    """Whether an output block is what was printed."""
    if block.language == "json":
        try:
            return _holds(json.loads(printed), json.loads(block.text))
        except ValueError:
            return False
    return _matches(block.text, printed)


def _matches(expected: str, actual: str) -> bool:
    pattern = ".*?".join(re.escape(part) for part in _trimmed(expected).split("..."))
    return re.fullmatch(pattern, _trimmed(actual), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _holds(actual: Any, shown: Any) -> bool:
    """Whether all that is shown is there: keys may be left out, `"..."` stands for any value."""
    if shown == "...":
        return True
    if isinstance(shown, dict) and isinstance(actual, dict):
        return all(key == "..." or (key in actual and _holds(actual[key], value)) for key, value in shown.items())
    if isinstance(shown, list) and isinstance(actual, list):
        return len(shown) == len(actual) and all(map(_holds, actual, shown))
    return type(shown) is type(actual) and bool(shown == actual)
