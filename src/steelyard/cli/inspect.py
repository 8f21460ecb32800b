"""`steelyard inspect`: what a checkpoint in a folder is, without a server, without a network, running nothing of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from steelyard.cli.errors import DANGER, UsageError
from steelyard.cli.findings import show_findings
from steelyard.cli.folders import sha256_of
from steelyard.cli.output import Output
from steelyard.cli.session import Given, Json, Quiet


class Files(Protocol):
    """The files of a checkpoint: see `inspect/files.py`, which is loaded by the commands that need it."""

    def sizes(self) -> Mapping[str, int]:
        """The size in bytes of each file, by its path."""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes of a file from `offset`."""


# What holds no pickle, unless the verdict says otherwise.
_HARMLESS = frozenset({"none", "zip", "npy", "npz", "tar", "hdf5"})
_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib")


def inspect(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the checkpoint.", show_default=False)],
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="With the linear layers (in --json).")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a checkpoint in a folder is: its spec with the source of each field, its faults, its code, its pickles.

    Nothing of it is run and nothing is asked of a server or a network. The exit code is 9 where a file would do
    something dangerous when it is loaded.
    """
    outer = context.obj if isinstance(context.obj, Given) else Given()
    output = Output(json or outer.json, quiet or outer.quiet)
    files = folder_files(folder)
    found = _document(folder, files, inspected(files, folder), verbose=verbose)
    if output.json:
        output.value(found)
    else:
        show_findings(output, found)
    dangerous = [pickle["path"] for pickle in found["pickles"] if pickle["verdict"] == "dangerous"]
    if dangerous:
        output.note(f"dangerous to load: {', '.join(dangerous)}")
        raise typer.Exit(DANGER)


def folder_files(folder: Path) -> Files:
    """The files of a folder, as the readers of checkpoints see them. Raises `UsageError`."""
    from steelyard.inspect.files import FolderFiles  # noqa: PLC0415

    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    try:
        return FolderFiles(folder)
    except OSError as error:
        raise UsageError(f"cannot read {folder}: {error.strerror}") from None


def inspected(files: Files, folder: Path) -> Any:
    """What the checkpoint in a folder says: an `inspect.checkpoint.Inspection`."""
    from steelyard.inspect.checkpoint import inspect_checkpoint  # noqa: PLC0415

    return inspect_checkpoint(files, folder.resolve().name)


def _document(folder: Path, files: Files, found: Any, *, verbose: bool) -> dict[str, Any]:
    """The inspection in the form in which a server answers one."""
    from steelyard.inspect.memory import minimum_gpus  # noqa: PLC0415

    document = found.as_document()
    spec, sources, missing = dict(document["spec"] or {}), dict(document["sources"]), document["missing"]
    if found.layout is not None and spec:
        needed = minimum_gpus(found.layout)
        spec |= {"minimum_gpus_all_weights": needed.all_weights, "minimum_gpus_lora": needed.lora}
        sources |= dict.fromkeys(("minimum_gpus_all_weights", "minimum_gpus_lora"), "computed for GPUs of 80 GB")
    if not verbose and spec.get("linear_layers") is not None:
        missing = {**missing, "linear_layers": "long: shown with --verbose"}
        spec["linear_layers"] = None
    code = document["remote_code"]
    adapter, chat = document["adapter"], dict(document["chat"])
    return {
        "format": document["format"],
        "complete": found.complete(),
        "fields": {
            name: {"value": value, "source": sources.get(name), "missing": missing.get(name)}
            for name, value in spec.items()
        },
        "faults": document["faults"],
        "read": document["read"],
        "bytes_read": sum(file["nbytes"] for file in document["read"]),
        "remote_code": {**code, "files": _code_files(folder, files)},
        "pickles": _pickles(files),
        "chat": {"has_template": chat.pop("template") is not None, **chat},
        "adapter": adapter and {key: value for key, value in adapter.items() if key != "tensors"},
    }


def _code_files(folder: Path, files: Files) -> list[dict[str, Any]]:
    return [
        {"path": path, "size": size, "sha256": sha256_of(folder.resolve() / path)}
        for path, size in sorted(files.sizes().items())
        if path.lower().endswith(_CODE)
    ]


def _pickles(files: Files) -> list[dict[str, Any]]:
    """What each file would run when it is loaded, of those that would run something."""
    from steelyard.inspect.pickles import SNIFF_BYTES, scan, sniff  # noqa: PLC0415

    found = []
    for path, size in sorted(files.sizes().items()):
        name = path

        def read(offset: int, length: int, name: str = name) -> bytes:
            return files.read(name, offset, length)

        if not sniff(read(0, SNIFF_BYTES), path):
            continue
        result = scan(read, size, path)
        if result.kind not in _HARMLESS or result.verdict != "clean":
            found.append({"path": path, "size": size, **result.as_document()})
    return found
