"""What is known of a model beyond its record: inspection, memory, lineage."""

import hashlib
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.insight import Load, inspect_model, model_memory
from steelyard.actions.lineage import MOST_STEPS, lineage
from steelyard.api import answers
from steelyard.api.operations import READ, answers_of
from steelyard.api.parameters import Home, Verbose
from steelyard.api.requests import conditions_of, context_of
from steelyard.api.resources import MODELS
from steelyard.records.forms import JsonObject, Shown
from steelyard.records.kinds import Document

router = APIRouter(prefix=f"{MODELS.prefix}/{{name}}", tags=["models"], default_response_class=Response)


class SpecField(Shown):
    """A field of a spec: its value and where that is from, or why it is not known.

    Where the value was written by hand, `read` is what the files say, and `read_from` where.
    """

    value: Any = None
    source: str | None = None
    missing: str | None = None
    read: Any = None
    read_from: str | None = None


class FileFaultBody(Shown):
    """A file that is broken, missing or contradicts another."""

    path: str
    message: str


class ReadFileBody(Shown):
    """A file that was read, and how many bytes of it."""

    path: str
    nbytes: int


class CodeFile(Shown):
    """A file of code. `trusted` says that this very content is: trust ends when the bytes change."""

    path: str
    sha256: str | None
    size: int
    trusted: bool


class RemoteCodeBody(Shown):
    """What code the files bring and ask for (`needed`: the model cannot be loaded without), and who trusts it, why."""

    needed: bool
    trusted: bool
    auto_map: dict[str, str]
    elsewhere: list[str]
    reasons: list[str]
    decision: JsonObject | None
    files: list[CodeFile]


class FindingBody(Shown):
    """One thing that a scan found, where in the file, and how bad it is."""

    level: Literal["not scanned", "suspicious", "dangerous"]
    where: str
    what: str


class PickleFile(Shown):
    """A file that would run something if it were loaded."""

    path: str
    sha256: str | None
    size: int
    kind: str
    verdict: Literal["clean", "not scanned", "suspicious", "dangerous"]
    findings: list[FindingBody]
    imports: list[str]


class InspectionBody(Shown):
    """What was read of a model's files. `reason` tells why nothing was read; `content` is the digest of what was."""

    model: str
    revision: int
    fileset: str | None
    commit: str | None
    content: str | None
    reason: str | None
    format: Literal["safetensors", "gguf", "pickle", "none"]
    complete: bool
    fields: dict[str, SpecField]
    faults: list[FileFaultBody]
    read: list[ReadFileBody]
    bytes_read: int
    remote_code: RemoteCodeBody
    pickles: list[PickleFile]
    chat: JsonObject
    adapter: JsonObject | None


class MemoryTerm(Shown):
    """A part of the memory, in bytes: of all GPUs, and of each (null where the model cannot be split so)."""

    name: str
    nbytes: int
    per_gpu: int | None
    formula: str
    source: str


class MemorySplit(Shown):
    """Bytes on each GPU when the model is split over `gpus`; `why_not` where it cannot be."""

    gpus: int
    per_gpu: int | None
    why_not: str | None


class MemoryBody(Shown):
    """The memory that serving takes, in bytes. `basis` says what it is computed from; `assumed` what was not known."""

    model: str
    basis: Literal["files", "spec"]
    context: int
    batch: int
    gpus: int
    terms: list[MemoryTerm]
    total: int
    per_gpu: int | None
    why_not: str | None
    splits: list[MemorySplit]
    assumed: list[str]


class LineageEnd(Shown):
    """A record, by kind and name."""

    kind: str
    workspace: str
    name: str


class LineageNode(LineageEnd):
    """A relative, `depth` steps away. `external`: its workspace is not one of this server."""

    depth: int
    relation: Literal["self", "ancestor", "descendant", "adapter"]
    state: Literal["here", "missing", "external"]
    finetuning_type: str | None
    fileset: str | None


class LineageEdge(Shown):
    """From what was made to what it was made from; `via` is the alias by which it is named."""

    from_: LineageEnd = Field(alias="from")
    to: LineageEnd
    relation: Literal["base_model", "model"]
    via: str | None


class LineageBody(Shown):
    """The relatives of a model, nearest first; `truncated`: there are more."""

    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool


@router.get(
    "/inspection",
    operation_id="get_model_inspection",
    summary="See what was read of a model's files",
    responses=answers_of(200, InspectionBody, READ, conditional=True),
)
async def inspection(request: Request, workspace: Home, name: str, verbose: Verbose = False) -> Response:
    """Every field of its spec with its source, what is missing and why, faults, code and who trusts it, pickles.

    Files that nobody has read yet are read now: headers and small files, nothing of them is run.
    """
    return _tagged(request, await inspect_model(context_of(request), workspace, name, verbose=verbose))


@router.get(
    "/memory",
    operation_id="get_model_memory",
    summary="Compute the memory that a model takes",
    responses=answers_of(200, MemoryBody, READ, conditional=True),
)
async def memory(
    request: Request,
    workspace: Home,
    name: str,
    context: Annotated[
        int | None, Query(ge=1, le=2**31, description="Tokens of each sequence; the model's own if not given.")
    ] = None,
    batch: Annotated[int, Query(ge=1, le=1_000_000, description="Sequences at once.")] = 1,
    dtype: Annotated[
        str | None,
        Query(max_length=32, description="What weights are loaded as: bf16, fp8 …; as they are if not given."),
    ] = None,
    kv_dtype: Annotated[str | None, Query(max_length=32, description="What the KV cache holds.")] = None,
    gpus: Annotated[int, Query(ge=1, le=4096, description="GPUs that the model is split over.")] = 1,
    adapter_rank: Annotated[
        int | None, Query(ge=1, le=65_536, description="The rank of LoRA adapters held beside the weights.")
    ] = None,
    adapters: Annotated[int, Query(ge=1, le=10_000, description="How many adapters of that rank.")] = 1,
) -> Response:
    """Weights, KV cache, state, activations, adapters and what a process takes, each with its formula and source."""
    load = Load(
        context=context,
        batch=batch,
        dtype=dtype,
        kv_dtype=kv_dtype,
        gpus=gpus,
        adapter_rank=adapter_rank,
        adapters=adapters,
    )
    return _tagged(request, await model_memory(context_of(request), workspace, name, load))


@router.get(
    "/lineage",
    operation_id="get_model_lineage",
    summary="See what a model was made from, and what was made from it",
    responses=answers_of(200, LineageBody, READ, conditional=True),
)
async def lineage_(
    request: Request,
    workspace: Home,
    name: str,
    depth: Annotated[int, Query(ge=1, le=MOST_STEPS, description="How many steps away.")] = MOST_STEPS,
    direction: Annotated[
        Literal["up", "down", "both"], Query(description="Up to its base models, down to what is made from it.")
    ] = "both",
) -> Response:
    """Base models (through aliases), models made from it, adapters; also those that are named and not here."""
    up, down = depth if direction != "down" else 0, depth if direction != "up" else 0
    return _tagged(request, await lineage(context_of(request), workspace, name, up=up, down=down))


def _tagged(request: Request, document: Document) -> Response:
    """The answer with an entity tag of its very bytes, or that the caller has them already."""
    body = orjson.dumps(document)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = [(b"etag", etag.encode())]
    if conditions_of(request).unchanged_since(etag):
        return answers.Answer(b"", 304, headers)
    return answers.Answer(body, 200, [(b"content-type", b"application/json"), *headers])
