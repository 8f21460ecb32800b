"""Which paths a `.gitignore` leaves out (https://git-scm.com/docs/gitignore), for clients that ask the server."""

import re
from collections.abc import Sequence

from steelyard.records.paths import folders_above

_MOST_RULES = 1000
_LONGEST_RULE = 200
_MOST_STARS = 8


def ignored_paths(gitignore: object, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` that the text of a `.gitignore` at the top leaves out; none if it is no text."""
    if not isinstance(gitignore, str):
        return frozenset()
    rules = [rule for line in gitignore.splitlines()[:_MOST_RULES] if (rule := _rule(line)) is not None]
    return frozenset(path for path in paths if rules and _is_ignored(rules, path))


class _Rule:
    def __init__(self, pattern: re.Pattern[str], *, keeps: bool, folders: bool) -> None:
        self.pattern = pattern
        self.keeps = keeps
        self.folders = folders


def _rule(line: str) -> _Rule | None:
    text = line.rstrip()
    if not text or text.startswith("#") or len(text) > _LONGEST_RULE or text.count("*") > _MOST_STARS:
        return None
    keeps = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    folders = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    pattern = _pattern(text)
    return _Rule(re.compile(pattern if anchored else f"(?:.*/)?{pattern}", re.DOTALL), keeps=keeps, folders=folders)


def _pattern(text: str) -> str:
    """A regular expression that matches as the pattern of a line does."""
    found, at = [], 0
    while at < len(text):
        if text.startswith("**/", at):
            found.append("(?:.*/)?")
            at += 3
        elif text.startswith("/**", at) and at + 3 == len(text):
            found.append("/.*")
            at += 3
        elif text[at] == "*":
            found.append("[^/]*")
            at += 1
        elif text[at] == "?":
            found.append("[^/]")
            at += 1
        elif text[at] == "[" and (end := text.find("]", at + 2)) > 0:
            inside = text[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            found.append(f"[{'^' + inside[1:] if inside[0] == '!' else inside}]")
            at = end + 1
        else:
            found.append(re.escape(text[at]))
            at += 1
    return "".join(found)


def _is_ignored(rules: Sequence[_Rule], path: str) -> bool:
    """As git has it: the last rule that matches counts, and nothing in a folder that is left out comes back."""
    for step in [*folders_above(path), path]:
        is_folder, out = step != path, False
        for rule in rules:
            if (is_folder or not rule.folders) and rule.pattern.fullmatch(step):
                out = not rule.keeps
        if out:
            return True
    return False
