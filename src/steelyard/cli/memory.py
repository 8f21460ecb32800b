"""`steelyard memory`: what it takes to serve a model, of a server's record or of a checkpoint in a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.bars import size_text
from steelyard.cli.errors import CliError, UsageError
from steelyard.cli.inspect import folder_files, inspected
from steelyard.cli.models import MODELS
from steelyard.cli.output import Output
from steelyard.cli.session import Session
from steelyard.errors import InvalidInput

_GIB = 1 << 30
_USUAL_CONTEXT = 4096
_SECONDS = 300.0


def memory(
    session: Session,
    name: Annotated[
        str,
        typer.Argument(metavar="MODEL|DIR", help="A model, or a folder (a path with a /, or .).", show_default=False),
    ],
    *,
    tokens: Annotated[
        int | None, typer.Option("--context", min=1, help="Tokens of each sequence; the model's own if not given.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences at once.")] = 1,
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="TYPE", help="What weights are loaded as: bf16, fp8, int4 …")
    ] = None,
    kv_dtype: Annotated[str | None, typer.Option("--kv-dtype", metavar="TYPE", help="What the KV cache holds.")] = None,
    gpus: Annotated[int, typer.Option("--gpus", min=1, help="GPUs that the model is split over.")] = 1,
    adapter_rank: Annotated[
        int | None, typer.Option("--adapter-rank", min=1, help="The rank of LoRA adapters beside the weights.")
    ] = None,
    adapters: Annotated[int, typer.Option("--adapters", min=1, help="How many adapters of that rank.")] = 1,
    verbose: Annotated[bool, typer.Option("--verbose", help="With formulas and their sources.")] = False,
) -> None:
    """Show the memory that serving a model takes, part by part, and how it splits over GPUs.

    A folder is computed here, without a server.
    """
    asked = {
        "context": tokens,
        "batch": batch,
        "dtype": dtype,
        "kv_dtype": kv_dtype,
        "gpus": gpus,
        "adapter_rank": adapter_rank,
        "adapters": adapters,
    }
    said = {key: value for key, value in asked.items() if value is not None}
    found = _of_folder(Path(name), said) if _is_folder(name) else _of_model(session, name, said)
    if session.output.json:
        session.output.value(found)
    elif not session.output.quiet:
        _show(session.output, found, verbose=verbose)


def _is_folder(name: str) -> bool:
    """Whether a folder is meant: `workspace/name` is a model unless such a folder is there, and begins with a dot."""
    return name.startswith((".", "/", "~")) or (Path(name).is_dir() and "/" not in name.rstrip("/"))


def _of_model(session: Session, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    path, _ = MODELS.item(session.workspace, name)
    return session.client.call("GET", f"{path}/memory", query=dict(said), seconds=_SECONDS).record()


def _of_folder(folder: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    from steelyard.inspect.memory import estimate  # noqa: PLC0415

    folder = folder.expanduser()
    inspection = inspected(folder_files(folder), folder)
    if inspection.layout is None:
        why = "; ".join(f"{fault.path}: {fault.message}" for fault in inspection.faults[:3])
        raise CliError(f"{folder}: nothing there says how large a model it is" + (f": {why}" if why else ""))
    stated = (inspection.spec or {}).get("context_size")
    tokens = said.get("context") or stated or _USUAL_CONTEXT
    try:
        found = dict(estimate(inspection.layout, **{**said, "context": tokens}).as_document())
    except InvalidInput as error:
        raise UsageError("; ".join(f"--{fault.location[-1]}: {fault.message}" for fault in error.faults)) from None
    if "context" not in said:
        where = "the spec's context_size" if stated else "no context is known, and this one is usual"
        found["assumed"] = [*found["assumed"], f"The context is {tokens} tokens: {where}."]
    return {"model": str(folder), "basis": "files", **found}


def _show(output: Output, found: Mapping[str, Any], *, verbose: bool) -> None:
    split = found["gpus"] > 1 and found["per_gpu"] is not None
    rows = [_row(term["name"], term["nbytes"], term["per_gpu"], split=split) for term in found["terms"]]
    rows.append(_row("total", found["total"], found["per_gpu"], split=split))
    columns = ("part", "GiB", "GiB per GPU") if split else ("part", "GiB")
    output.table(columns, rows)
    load = f"{_number(found['batch'], 'sequence')} of {found['context']:,} tokens"
    output.line(f"for {load}, on {_number(found['gpus'], 'GPU')}")
    if found["why_not"]:
        output.line(found["why_not"], "yellow")
    for one in found["splits"]:
        fits = "cannot be split so" if one["per_gpu"] is None else f"{size_text(one['per_gpu'])} each"
        output.line(f"  {_number(one['gpus'], 'GPU')}: {fits}")
    if verbose:
        for term in found["terms"]:
            output.line(f"{term['name']}: {term['formula']}")
            output.line(f"  {term['source']}")
    for text in found["assumed"]:
        output.line(f"assumed: {text}")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def _row(name: str, nbytes: int, per_gpu: int | None, *, split: bool) -> tuple[str, ...]:
    each = "" if per_gpu is None else f"{per_gpu / _GIB:,.3f}"
    return (name, f"{nbytes / _GIB:,.3f}", each) if split else (name, f"{nbytes / _GIB:,.3f}")
