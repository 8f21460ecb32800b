"""The shapes of weights that bitsandbytes packed to four bits: the packed tensors are flat, a note beside them tells.

The note is a tensor of bytes that hold JSON, named `….weight.quant_state.bitsandbytes__nf4` (or `fp4`).
"""

from math import prod

from steelyard.errors import BadCheckpoint
from steelyard.inspect.reading import Reading, decode_json
from steelyard.inspect.shards import Shards
from steelyard.inspect.tensors import Tensor

MAX_NOTE = 4096
"""Bytes of a note; those that are written have some 100."""
MAX_NOTES = 20_000
_NOTE = ".quant_state.bitsandbytes__"


def noted_shapes(reading: Reading, shards: Shards) -> dict[str, tuple[int, ...]]:
    """The shape of each packed weight, by its name. A note that cannot be believed is a fault, and left out."""
    packed = {tensor.name: tensor for tensor in shards.tensors}
    found = {}
    notes = [tensor for tensor in shards.tensors if _NOTE in tensor.name]
    for note in notes[:MAX_NOTES]:
        name = note.name.partition(_NOTE)[0]
        shape = _shape(reading, note, shards.starts[note.name])
        weight = packed.get(name)
        if shape is not None and weight is not None and (prod(shape) + 1) // 2 == weight.elements:
            found[name] = shape
        else:
            reading.fault(note.file, f"{note.name} does not tell a shape that {name} can have")
    return found


def _shape(reading: Reading, note: Tensor, start: int) -> tuple[int, ...] | None:
    if note.nbytes > MAX_NOTE:
        return None
    try:
        value = decode_json(reading.files.read(note.file, start, note.nbytes))
    except BadCheckpoint:
        return None
    shape = value.get("shape") if isinstance(value, dict) else None
    if not isinstance(shape, list) or not shape or len(shape) > 4:
        return None
    return tuple(shape) if all(type(size) is int and 0 < size < 2**31 for size in shape) else None
