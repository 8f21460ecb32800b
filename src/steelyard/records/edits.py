"""What a caller asks of a fileset's files in one commit; `actions/files/edits.py` finds what that changes."""

from typing import Annotated, Literal

from pydantic import Field

from steelyard.records.forms import Form

MOST_EDITS = 25_000
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64)]
FilePath = Annotated[str, Field(min_length=1, max_length=1024)]
FileSize = Annotated[int, Field(ge=0, le=2**53, strict=True)]


class PutFile(Form):
    """That a path gets bytes which the workspace has sent, or has in one of its filesets. `size` is in bytes."""

    op: Literal["put"]
    path: FilePath
    sha256: Sha256
    size: FileSize


class DeleteFile(Form):
    """That a path has no file any more."""

    op: Literal["delete"]
    path: FilePath


class DeleteFolder(Form):
    """That nothing lies below a path any more, but for what the same commit puts there."""

    op: Literal["delete_folder"]
    path: FilePath


class CopyFile(Form):
    """That a path gets the content that another one has, or had at a `revision`."""

    op: Literal["copy"]
    from_: Annotated[str, Field(alias="from", min_length=1, max_length=1024)]
    to: FilePath
    revision: Annotated[str, Field(max_length=64)] | None = None


FileEdit = Annotated[PutFile | DeleteFile | DeleteFolder | CopyFile, Field(discriminator="op")]


class CommitRequest(Form):
    """A change of any number of files, all of them or none; `parent` is the commit that the caller believes to be the
    head.
    """

    message: Annotated[str, Field(max_length=10_000)] | None = None
    parent: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", min_length=40, max_length=40)] | None = None
    changes: Annotated[list[FileEdit], Field(min_length=1, max_length=MOST_EDITS)]


class RestoreRequest(Form):
    """Which commit the files shall be as."""

    commit: Annotated[str, Field(min_length=1, max_length=64)]
    message: Annotated[str, Field(max_length=10_000)] | None = None


class AskedBlob(Form):
    """Bytes that a caller means to name. `size` is in bytes."""

    sha256: Sha256
    size: FileSize | None = None


class MissingBlobsRequest(Form):
    """Which bytes a caller means to name in a commit."""

    digests: Annotated[list[AskedBlob], Field(max_length=MOST_EDITS)]
