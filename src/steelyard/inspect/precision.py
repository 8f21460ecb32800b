"""How many bytes a number takes, by the name of its type, whoever spells it."""

from collections.abc import Mapping
from fractions import Fraction

from steelyard.inspect.gguf import BLOCKS

# Other spellings -> that of safetensors: PyTorch's, Hugging Face configs', trainers' and engines'.
_SPELLINGS: Mapping[str, str] = {
    **dict.fromkeys(("float64", "fp64", "double"), "F64"),
    **dict.fromkeys(("float32", "fp32", "float", "32", "32-true"), "F32"),
    **dict.fromkeys(("float16", "fp16", "half", "16", "16-true", "fp16-mixed", "16-mixed"), "F16"),
    **dict.fromkeys(("bfloat16", "bf16-mixed", "bf16-true"), "BF16"),
    **dict.fromkeys(("fp8", "f8", "float8", "float8_e4m3fn", "fp8_e4m3", "fp8-mixed"), "F8_E4M3"),
    **dict.fromkeys(("float8_e5m2", "fp8_e5m2"), "F8_E5M2"),
    **dict.fromkeys(("fp4", "float4", "nf4", "float4_e2m1fn_x2"), "F4"),
    **dict.fromkeys(("int8", "8bit"), "I8"),
    **dict.fromkeys(("int4", "4bit"), "I4"),
    **dict.fromkeys(("int16",), "I16"),
    **dict.fromkeys(("int32",), "I32"),
    **dict.fromkeys(("int64",), "I64"),
}

_BITS: Mapping[str, int] = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("F4", "I4", "U4"), 4),
}
_BLOCK_BYTES = {name: Fraction(nbytes, elements) for name, elements, nbytes in BLOCKS.values()}

COMPUTE = frozenset({"F32", "F16", "BF16"})
"""The types that activations and caches are kept in, where nothing else is said."""


def canonical(dtype: str) -> str | None:
    """The name of a type as safetensors (`BF16`) or GGUF (`Q4_K`) spell it, from any usual spelling; else None."""
    plain = dtype.strip().removeprefix("torch.")
    name = _SPELLINGS.get(plain.lower(), plain.upper())
    return name if name in _BITS or name in _BLOCK_BYTES else None


def bytes_per_element(dtype: str) -> Fraction:
    """Bytes of one number of a type that `canonical` knows; block types count the scales that stand in their blocks."""
    return Fraction(_BITS[dtype], 8) if dtype in _BITS else _BLOCK_BYTES[dtype]
