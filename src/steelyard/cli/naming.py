"""What a name on the command line means: which fileset, and which of its commits."""

from typing import Any

from steelyard.cli.adapters import ADAPTERS
from steelyard.cli.errors import CliError, NothingError, RefusedError, UsageError
from steelyard.cli.filesets import FILESETS
from steelyard.cli.models import MODELS
from steelyard.cli.session import Session

_WHOLE = 40
_SHORTEST = 7
_MOST = 1000


def find_fileset(session: Session, name: str) -> tuple[str, str]:
    """The path of a fileset, or of the one of the model or adapter of that name, and what to call it.

    Raises `CliError` for a model without files.
    """
    path, title = FILESETS.item(session.workspace, name)
    if _found(session, path) is not None:
        return path, title
    for resource in (MODELS, ADAPTERS):
        record = _found(session, resource.item(session.workspace, name)[0])
        if record is not None:
            if not record.get("fileset"):
                raise CliError(f"the {resource.noun} {title} has no fileset, so there are no files of it")
            return FILESETS.item(str(record["workspace"]), str(record["fileset"]))
    raise NothingError(f"there is no fileset, model or adapter {title}")


def _found(session: Session, path: str) -> dict[str, Any] | None:
    try:
        return session.client.call("GET", path).record()
    except RefusedError as error:
        if error.http_status == 404:
            return None
        raise


def whole_commit(session: Session, home: str, text: str) -> str:
    """The commit that a shortened id means, as `log` shows them. Raises `UsageError` if it means several."""
    if len(text) >= _WHOLE or len(text) < _SHORTEST or not set(text) <= set("0123456789abcdef"):
        return text
    found = session.client.call("GET", f"{home}/commits", query={"limit": _MOST}).record()
    ids = sorted({str(record["id"]) for record in found.get("data", ()) if str(record["id"]).startswith(text)})
    if len(ids) > 1:
        raise UsageError(f"{text} is the start of {len(ids)} commits; give more of it")
    return ids[0] if ids else text
