"""The pages of the documentation as the tests of this folder read them.

A fenced block is run when `<!-- run -->` stands on the line before it:

* `sh` is run by bash as it stands;
* `console` is run line by line: `$ ` starts a command, and what follows up to the next one is its output (a command
  that shows none may print what it likes);
* `python` is run by Python, in the environment of the clients where it imports `nemo_platform`;
* `toml` is a settings file that the server must take;
* `json` must be JSON.

`<!-- run: exit 5 -->` says that the block ends with that exit code instead of 0 (curl ends with 22 where the answer is
an error). `<!-- output -->` before the next block says that it is what the block before prints. In an output `...`
stands for anything; a `json` output may leave out keys, and `"..."` stands for any value.

The blocks of one page run in order, in one folder, against one fresh server, which stands for http://127.0.0.1:8080;
`.venv/bin/` is where the tests run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.house.sources import ROOT

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+)\s*(?P<language>[\w-]*)")
_MARK = re.compile(r"^ *<!--\s*(?P<verb>run|output)\b(?P<rest>.*?)-->\s*$")
_EXIT = re.compile(r":\s*exit\s+(\d+)\s*")


@dataclass(frozen=True)
class Block:
    """A fenced block. `mark` is the comment before it (`run`, `output` or nothing); `line` is where its text starts."""

    page: str
    line: int
    language: str
    text: str
    mark: str = ""
    code: int = 0

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


class BadMarkError(ValueError):
    """A mark that cannot be understood, or that stands before no block."""


def all_pages() -> list[Path]:
    """Every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """The page as a reader of the repository names it."""
    return str(page.relative_to(ROOT))


def blocks(page: str, text: str) -> Iterator[Block]:
    """The fenced blocks of a page. Raises BadMarkError."""
    lines = text.splitlines()
    mark, code, marked_at, position = "", 0, 0, 0
    while position < len(lines):
        if found := _MARK.match(lines[position]):
            if mark:
                raise BadMarkError(f"{page}:{marked_at}: the mark stands before no block")
            mark, code, marked_at = found["verb"], _exit_code(f"{page}:{position + 1}", found["rest"]), position + 1
        elif opening := _FENCE.match(lines[position]):
            end = _end_of_fence(lines, position, opening["fence"])
            indent = len(opening["indent"])
            body = "\n".join(line[indent:] for line in lines[position + 1 : end])
            yield Block(page, position + 2, opening["language"], f"{body}\n", mark, code)
            mark, code, position = "", 0, end
        elif mark and lines[position].strip():
            raise BadMarkError(f"{page}:{marked_at}: the mark stands before no block")
        position += 1
    if mark:
        raise BadMarkError(f"{page}:{marked_at}: the mark stands before no block")


def _exit_code(where: str, rest: str) -> int:
    if not rest.strip():
        return 0
    found = _EXIT.fullmatch(rest)
    if found is None:
        raise BadMarkError(f"{where}: a mark is `run`, `run: exit 5` or `output`")
    return int(found[1])


def _end_of_fence(lines: list[str], start: int, fence: str) -> int:
    for position in range(start + 1, len(lines)):
        if lines[position].strip() == fence:
            return position
    return len(lines)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a page outside its fenced blocks, without inline code, each with its number."""
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _FENCE.match(line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif found:
            fence = found["fence"]
        else:
            yield number, re.sub(r"(`+).+?\1", "", line)
