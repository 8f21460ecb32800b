"""Arrays that stand in or around pickles: NumPy's own files, and the raw bytes that joblib puts between opcodes."""

import re
from math import prod

from steelyard.inspect.findings import LimitReached
from steelyard.inspect.machine import UNCLEAR, Imported, Made

NPY_MAGIC = b"\x93NUMPY"
_DTYPE = re.compile(r"[<>|=]?([?bBhHiIlLqQefdgFDGbiufcmMVSUaO])(\d{0,9})")
# The state of a dtype: version, byte order, subarray, names, fields, item size, alignment, flags.
_STATE_LENGTH = 8
_HAS_OBJECT = 1
_LETTER_BYTES = {
    **dict.fromkeys("?bB", 1),
    **dict.fromkeys("hHe", 2),
    **dict.fromkeys("iIf", 4),
    **dict.fromkeys("lLqQdF", 8),
    **dict.fromkeys("gD", 16),
    "G": 32,
}


def npy_data_offset(head: bytes) -> tuple[int, bool]:
    """Where the data of a `.npy` file start, and whether they may be a pickle, as those of objects are."""
    wide = head[6:7] != b"\x01"
    length = int.from_bytes(head[8 : 12 if wide else 10], "little")
    start = 12 if wide else 10
    header = head[start : start + length]
    # Only the type of objects has a capital O; with a backslash it could be spelled otherwise.
    return start + length, b"O" in header or b"\\" in header or len(header) < length


def is_joblib_wrapper(made: Made) -> bool:
    """Whether joblib would replace this object by the array that follows it, however the object was made."""
    return any(
        isinstance(part, Imported) and (part.module, part.name) == ("joblib.numpy_pickle", "NumpyArrayWrapper")
        for part in (made.callee, *made.args)
    )


def joblib_array(made: Made) -> tuple[int, bool] | None:
    """Of a joblib wrapper: the bytes of the array that follows it in the file, and whether padding stands before them.

    None if what follows is a pickle of its own, of an array of objects. Raises LimitReached if that cannot be told: a
    wrong guess would let a pickle hide behind bytes that are taken for an array.
    """
    state = made.state
    if not isinstance(state, dict) or UNCLEAR in state:
        raise LimitReached("an array that is not described plainly")
    shape, alignment = state.get("shape"), state.get("numpy_array_alignment_bytes")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise LimitReached("an array whose shape is not known")
    size = _dtype_bytes(state.get("dtype"))
    return None if size is None else (prod(shape) * size, alignment is not None)


def _dtype_bytes(dtype: object) -> int | None:
    """Bytes of one element; None for objects."""
    if isinstance(dtype, Made) and dtype.callee is not None and dtype.callee.name == "dtype" and dtype.args:
        spelled = dtype.args[0]
        match = _DTYPE.fullmatch(spelled) if isinstance(spelled, str) else None
        if match is not None:
            return _plain_bytes(match[1], match[2], dtype.state)
    raise LimitReached("an array whose type is not known")


def _plain_bytes(letter: str, digits: str, state: object) -> int | None:
    """As NumPy has it: what a type's state says goes before what its name says, for texts, and for having objects."""
    size = int(digits) * (4 if letter == "U" else 1) if digits else _LETTER_BYTES.get(letter, 0)
    if isinstance(state, tuple) and len(state) >= _STATE_LENGTH:
        _, _, subarray, names, fields, itemsize, _, flags = state[:_STATE_LENGTH]
        plain = (subarray, names, fields) == (None, None, None) and isinstance(itemsize, int) and isinstance(flags, int)
        if letter == "O" and plain and flags & _HAS_OBJECT:
            return None
        if letter in "OV" or not plain or flags & _HAS_OBJECT:
            raise LimitReached("an array of records or of a type that contradicts itself")
        return itemsize if letter in "SUa" else size
    if letter == "O" and state is None:
        return None
    if letter in "OVSUa" or state is not None or not size:
        raise LimitReached("an array whose type is not known")
    return size
