"""Where the bytes of a fileset come from: our own content store, or a source that is pinned when the fileset is made.

A source names secrets by reference (`name` or `workspace/name`); none stands in the record.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from steelyard.records.forms import Form
from steelyard.records.paths import path_fault

SecretRef = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)?$", max_length=511)]
ReadChunkSize = Annotated[int, Field(ge=1, le=2**30)]


def _web(value: str) -> str:
    if not value.startswith(("https://", "http://")) or any(ord(char) <= 32 or ord(char) == 127 for char in value):
        raise PydanticCustomError("url", "must be an address that starts with https:// or http://")
    return value


WebAddress = Annotated[str, Field(max_length=2048), AfterValidator(_web)]
RepoId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)?$", max_length=200)]
Step = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+$", max_length=255)]


class LocalStorage(Form):
    """Our own content store, where `path` is empty; else a folder that the configuration gives a name and allows.

    `path` is `NAME` or `NAME/folder/below`, where NAME is a key of the setting `files.folders`.
    """

    type: Literal["local"] = "local"
    path: Annotated[str, Field(max_length=1000)] = ""
    read_chunk_size: ReadChunkSize = 1_048_576
    write_buffer_size: ReadChunkSize = 16_777_216


class HuggingfaceStorage(Form):
    """A repository of the Hugging Face Hub, or of a server that speaks its protocol; pinned to a commit."""

    type: Literal["huggingface"] = "huggingface"
    repo_id: RepoId
    repo_type: Literal["model", "dataset", "space"] = "model"
    endpoint: WebAddress = "https://huggingface.co"
    revision: Annotated[str, Field(min_length=1, max_length=255)] = "main"
    original_revision: str | None = None
    token_secret: SecretRef | None = None
    read_chunk_size: ReadChunkSize = 1_048_576


class NgcStorage(Form):
    """A model or resource of NVIDIA NGC; pinned to a version."""

    type: Literal["ngc"] = "ngc"
    org: Step
    team: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]*$", max_length=255)]
    target: Step
    target_type: Literal["resource", "model"] = "resource"
    version: Annotated[str, Field(max_length=255)] | None = None
    original_version: str | None = None
    host: WebAddress = "https://api.ngc.nvidia.com"
    api_key_secret: SecretRef
    read_chunk_size: ReadChunkSize = 1_048_576


class S3Storage(Form):
    """The objects under a prefix of a bucket, as they were when the fileset was made (by their entity tags)."""

    type: Literal["s3"] = "s3"
    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-_]{3,63}$")]
    prefix: Annotated[str, Field(max_length=1000)] = ""
    endpoint_url: WebAddress | None = None
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9\-]+$", max_length=64)] | None = None
    access_key_id_secret: SecretRef | None = None
    secret_access_key_secret: SecretRef | None = None
    signature_version: Literal["s3v4", "s3"] = "s3v4"
    use_sdk_auth: bool = False
    read_chunk_size: ReadChunkSize = 1_048_576


def _file_path(value: str) -> str:
    if fault := path_fault(value):
        raise PydanticCustomError("path", "{fault}", {"fault": fault})
    return value


class WebFile(Form):
    """One file of the web: its path in the fileset, its address, and what is known of it."""

    path: Annotated[str, AfterValidator(_file_path)]
    url: WebAddress
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class HttpsStorage(Form):
    """Files of the web, pinned by their digests or, without one, by their entity tags."""

    type: Literal["https"] = "https"
    files: Annotated[list[WebFile], Field(min_length=1, max_length=10_000, fail_fast=True)]
    token_secret: SecretRef | None = None
    """Sent as a Bearer token."""
    read_chunk_size: ReadChunkSize = 1_048_576


Storage = Annotated[
    LocalStorage | HuggingfaceStorage | NgcStorage | S3Storage | HttpsStorage, Field(discriminator="type")
]
EXTERNAL = frozenset({"huggingface", "ngc", "s3", "https"})
"""The types of storage whose files are another server's, and can only be read."""
