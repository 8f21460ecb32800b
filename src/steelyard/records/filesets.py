"""Filesets: named sets of files, each state of which is a commit. The bytes are kept elsewhere (`blobs/`)."""

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Form, JsonObject, Shown
from steelyard.records.kinds import Fields, Kind, ProjectName, Stamped, canonical_project, project_links
from steelyard.records.names import NarrowName
from steelyard.records.storage import EXTERNAL, LocalStorage, Storage

FilesetDescription = Annotated[str, Field(max_length=255)]
SERVER_ONLY = "service_source"
"""A custom field that only services of the platform may write; it is dropped from what others send."""


class FilesetPurpose(StrEnum):
    """What a fileset is for."""

    DATASET = "dataset"
    GENERIC = "generic"
    MODEL = "model"


class CacheStatus(StrEnum):
    """Whether the bytes of a file are here. Those of our own content store need no cache."""

    CACHED = "cached"
    CACHING = "caching"
    NOT_CACHED = "not_cached"
    NOT_CACHEABLE = "not_cacheable"


class ToolCalling(Form):
    """What an engine needs to know to find tool calls; a plugin is code: see `policy.py`."""

    chat_template: str | None = None
    tool_call_parser: Annotated[str, Field(max_length=255)] | None = None
    tool_call_plugin: Annotated[str, Field(max_length=255)] | None = None
    auto_tool_choice: bool | None = None


class ModelMetadata(Form):
    """What is said of a fileset that holds a model."""

    tool_calling: ToolCalling | None = None


class DatasetMetadata(Form):
    """What is said of a fileset that holds a dataset."""

    schema_: Annotated[dict[str, Any] | str | None, Field(alias="schema")] = None
    schema_defs: JsonObject = {}
    schemas_by_path: JsonObject = {}


class FilesetMetadata(Form):
    """What is said of the content, by its purpose."""

    dataset: DatasetMetadata | None = None
    model: ModelMetadata | None = None


class UpdateFilesetRequest(Form):
    """A change of a fileset: a field that is absent or null keeps its value. Files have routes of their own."""

    description: FilesetDescription | None = None
    purpose: FilesetPurpose | None = None
    metadata: FilesetMetadata | None = None
    custom_fields: JsonObject | None = None
    project: ProjectName | None = None


class CreateFilesetRequest(UpdateFilesetRequest):
    """A new fileset: empty, or of the files of a source, as they are now."""

    name: NarrowName
    storage: Storage | None = None
    cache: bool | None = None
    """For a source: fetch all files now, rather than each when it is first read."""


class Fileset(Stamped):
    """A fileset as it is answered. `commit` names the state of its files; sizes are in bytes."""

    name: NarrowName
    workspace: NarrowName
    description: str
    purpose: FilesetPurpose
    storage: Storage
    metadata: FilesetMetadata
    custom_fields: JsonObject
    project: str
    commit: str
    file_count: int
    total_size: int


class FileOutput(Shown):
    """A file of a fileset. `size` is in bytes; `sha256` is null for a file of a source that was not fetched yet."""

    file_ref: str
    file_url: str
    path: str
    size: int
    cache_status: CacheStatus | None = None
    sha256: str | None = None
    updated_at: str | None = None
    scan: JsonObject | None = None


class FileEntry(NamedTuple):
    """A file at a commit. `digest` is None while its bytes are only at the source, which `remote` says how to ask;
    `state` is that of its bytes (`records/blobs.py`).
    """

    path: str
    digest: str | None
    size: int
    since: int
    at: str
    remote: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None
    state: str | None = None


class Commit(NamedTuple):
    """A state of a fileset's files. `number` counts from 0, the empty state; `content` is the digest of all paths and
    contents, once somebody has asked for it.
    """

    fileset_id: str
    number: int
    id: str
    parent: str | None
    at: str
    actor: str | None
    message: str | None
    revision: int
    content: str | None = None


class FileChange(NamedTuple):
    """That a path gets a content, or none (`digest` None and no `remote`)."""

    path: str
    digest: str | None
    size: int = 0
    remote: dict[str, Any] | None = None

    @property
    def removes(self) -> bool:
        """Whether the path has no file after the change."""
        return self.digest is None and self.remote is None


class Pinned(NamedTuple):
    """What a source has at this moment: `storage` with the revision that it is pinned to, the id of the commit there
    (None where there are none), and all files, each with how to ask for exactly that content (`remote`).
    """

    storage: Fields
    commit: str | None
    files: list[FileChange]


def commit_id(parent: str | None, fileset_id: str, changes: Sequence[FileChange]) -> str:
    """The id of a commit, 40 hexadecimal digits: of its parent, its fileset and what it changes, in any order."""
    digest = hashlib.sha256(f"{parent or ''}\n{fileset_id}\n".encode())
    for change in sorted(changes):
        digest.update(f"{change.path}\0{change.digest or ''}\0{change.size}\n".encode())
    return digest.hexdigest()[:40]


def content_digest(files: Iterable[tuple[str, str]]) -> str:
    """The digest of a set of files, of paths and what identifies their contents: what is inspected once."""
    digest = hashlib.sha256()
    for path, content in sorted(files):
        digest.update(f"{path}\0{content}\n".encode())
    return digest.hexdigest()


def is_external(fields: Fields) -> bool:
    """Whether a fileset's files are another server's, or a folder's: they can only be read."""
    storage = fields["storage"]
    return storage["type"] in EXTERNAL or bool(storage.get("path"))


def canonical_fileset(values: Fields, workspace: str, name: str) -> Fields:
    """`values` in their stored form: an absent text is empty, as clients of this API expect."""
    canonical = dict(canonical_project(values, workspace, name))
    if canonical.get("custom_fields"):
        kept = {key: value for key, value in canonical["custom_fields"].items() if key != SERVER_ONLY}
        canonical["custom_fields"] = kept
    if canonical.get("metadata") is not None:
        # One form for what was not said, however it was not said.
        canonical["metadata"] = {key: value for key, value in canonical["metadata"].items() if value is not None}
    return canonical


FILESET = Kind(
    name="fileset",
    title="Fileset",
    id_prefix="fileset",
    create=CreateFilesetRequest,
    update=UpdateFilesetRequest,
    answer=Fileset,
    order=(
        *("description", "purpose", "storage", "metadata", "custom_fields", "project"),
        *("commit", "file_count", "total_size"),
    ),
    defaults={
        "description": "",
        "purpose": "generic",
        "storage": LocalStorage().model_dump(),
        "metadata": {},
        "custom_fields": {},
        "project": "",
        "commit": "",
        "file_count": 0,
        "total_size": 0,
    },
    never_null=frozenset({"purpose"}),
    empty_clears=frozenset({"project"}),
    read_only=(
        *("id", "name", "workspace", "created_at", "updated_at", "revision"),
        *("storage", "commit", "file_count", "total_size"),
    ),
    structs=frozenset({"storage", "metadata"}),
    default_sort="-created_at",
    canonical=canonical_fileset,
    links=project_links,
    link_fields=frozenset({"project"}),
    filters=FilterFields(
        kind="fileset",
        fields=(
            FilterField.text("description"),
            FilterField.enum("purpose", tuple(FilesetPurpose)),
            FilterField.text("storage_type", ("storage", "type")),
        ),
    ),
)
