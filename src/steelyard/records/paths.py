"""Paths of files in a fileset: relative, with `/` between steps, and the same on every system that may pull them."""

MOST_STEPS = 64
MOST_BYTES = 1024
MOST_STEP_BYTES = 255


def path_fault(path: str) -> str | None:
    """Why no file can have that path; None for a path that is fine."""
    steps = path.split("/")
    if not path:
        return "a path must not be empty"
    if _bytes(path) > MOST_BYTES or len(steps) > MOST_STEPS:
        return f"a path has at most {MOST_BYTES} bytes and {MOST_STEPS} steps"
    return next((fault for fault in map(_step_fault, steps) if fault), None)


def _step_fault(step: str) -> str | None:
    if step in {"", ".", ".."}:
        return "a path has no empty step, no '.' and no '..', and does not start or end with '/'"
    if _bytes(step) > MOST_STEP_BYTES:
        return f"each step of a path has at most {MOST_STEP_BYTES} bytes"
    # A backslash and a colon are separators elsewhere: a path must not leave the folder on any system.
    if any(ord(char) < 32 or ord(char) == 127 or char in "\\:" or 0xD800 <= ord(char) < 0xE000 for char in step):
        return "a path has no control characters, backslashes, colons or broken characters"
    if step != step.rstrip(" ."):
        return "no step of a path ends with a space or a dot"
    return None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def folders_above(path: str) -> list[str]:
    """The folders that a file of that path lies in, the outermost first."""
    steps = path.split("/")
    return ["/".join(steps[:number]) for number in range(1, len(steps))]
