"""Quantized checkpoints: which weights the packed tensors stand for, and what to call their precision.

How each method packs (bits, the axis, the names of scales) is as its own library writes it: GPTQ and AWQ pack 32-bit
words along the input and the output axis, bitsandbytes and NVFP4 two values a byte, MXFP4 blocks of 32 values in 16
bytes, compressed-tensors 32-bit words along the input axis.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.inspect.tensors import Tensor

Packed = tuple[str, tuple[int, ...], str]
"""Name, shape and kept type of a weight."""

_WORDS = {"I32": 32, "U32": 32, "I64": 64, "I16": 16, "U8": 8, "I8": 8}
_BESIDE = re.compile(
    r"\.(?:qzeros|scales|g_idx|SCB|weight_format|weight_scale(?:_inv|_2)?|(?:input|output|k|v|q|prob)_scale"
    r"|activation_scale|(?:weight|input)_zero_point|weight_shape|weight_g_idx|weight_global_scale|input_global_scale)$"
    r"|\.weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\..*)$|_proj_scale(?:_inv)?$"
)
_KNOWN = {"gptq", "awq", "fp8", "fbgemm_fp8", "bitsandbytes", "mxfp4", "compressed-tensors", "modelopt", "nvfp4"}


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a checkpoint is quantized. `bits` of a weight where the method has several; `kind` refines it (`nf4`)."""

    method: str
    bits: int | None = None
    kind: str | None = None

    @property
    def precision(self) -> str:
        """The common name of the weights' type: `int4`, `int8`, `nf4`, `fp8`, `mxfp4`, `nvfp4`, else the method's."""
        if self.kind is not None:
            return self.kind
        if self.method in {"fp8", "fbgemm_fp8"}:
            return "fp8"
        if self.method in {"mxfp4", "nvfp4"} or self.bits is None:
            return self.method
        return f"int{self.bits}"


def quantization_of(config: Mapping[str, Any] | None, side_file: Mapping[str, Any] | None) -> Quantization | None:
    """How a model is quantized, by `quantization_config` of its config or a file of its own, or None if it is not."""
    values = next((value for value in (config, side_file) if value), None)
    if values is None:
        return None
    nested = values.get("quantization")
    if isinstance(nested, dict):  # hf_quant_config.json of ModelOpt
        values = {"quant_method": "modelopt", **nested}
    method = values.get("quant_method")
    if method is None and (values.get("load_in_4bit") or values.get("load_in_8bit")):
        method = "bitsandbytes"
    if not isinstance(method, str) or not method or len(method) > 40 or not method.isascii():
        return Quantization("unknown")
    return _known(method.lower(), values)


def _known(method: str, values: Mapping[str, Any]) -> Quantization:
    bits = values.get("bits", values.get("w_bit"))
    bits = bits if type(bits) is int and 1 <= bits <= 16 else None
    if method == "bitsandbytes":
        if values.get("load_in_4bit"):
            kind = values.get("bnb_4bit_quant_type")
            return Quantization(method, 4, kind if kind in {"nf4", "fp4"} else "fp4")
        return Quantization(method, 8)
    if method == "compressed-tensors":
        return _compressed(values)
    if method in {"modelopt", "modelopt_fp4", "nvfp4"}:
        algorithm = str(values.get("quant_algo", "")).upper()
        if "NVFP4" in algorithm or method != "modelopt":
            return Quantization("nvfp4", 4)
        return Quantization("fp8", 8) if algorithm.startswith("FP8") else Quantization("modelopt", bits)
    return Quantization(method, bits)


def _compressed(values: Mapping[str, Any]) -> Quantization:
    groups = values.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    weights = first.get("weights") if isinstance(first, dict) else None
    weights = weights if isinstance(weights, dict) else {}
    bits, kind = weights.get("num_bits"), weights.get("type")
    bits = bits if type(bits) is int and 1 <= bits <= 16 else None
    if values.get("format") == "nvfp4-pack-quantized":
        return Quantization("nvfp4", 4)
    return Quantization("compressed-tensors", bits, f"fp{bits}" if kind == "float" and bits is not None else None)


def unpacked(
    tensors: Sequence[Tensor], quantization: Quantization | None, noted: Mapping[str, tuple[int, ...]]
) -> tuple[list[Packed], str | None]:
    """The weights that `tensors` stand for, and why they are not all known, where that is so.

    `noted` are shapes that stand beside the weights, by their names.
    """
    if quantization is None:
        return [(tensor.name, tensor.shape, tensor.dtype) for tensor in tensors], None
    if quantization.method not in _KNOWN:
        kept = [(tensor.name, tensor.shape, tensor.dtype) for tensor in tensors]
        return kept, f"how {quantization.method!a} packs weights is not known here"
    found: list[Packed] = []
    unclear = None
    names = {tensor.name for tensor in tensors}
    for tensor in tensors:
        if _BESIDE.search(tensor.name) or tensor.name.endswith("_scales"):
            continue
        if quantization.method == "bitsandbytes" and f"{tensor.name}.absmax" in names:
            shape = noted.get(tensor.name)
            weight = (tensor.name, shape, tensor.dtype) if shape is not None else None
        else:
            weight = next(_weight(tensor, quantization), None)
        if weight is None:
            unclear = f"{tensor.name} is packed in a way that is not known here"
        else:
            found.append(weight)
    return found, unclear


def _weight(tensor: Tensor, quantization: Quantization) -> Iterator[Packed]:
    """At most one weight: none if its packing is not known."""
    name, shape, dtype = tensor.name, tensor.shape, tensor.dtype
    per_word = _WORDS.get(dtype, 0) // quantization.bits if quantization.bits else 0
    if name.endswith(".qweight") and len(shape) == 2:
        # 32 values of 3 bits stand in 3 words, so the whole is counted before it is divided.
        values = shape[0 if quantization.method == "gptq" else 1] * _WORDS.get(dtype, 0)
        if quantization.bits and values % quantization.bits == 0:
            whole = values // quantization.bits
            inputs, outputs = (whole, shape[1]) if quantization.method == "gptq" else (shape[0], whole)
            yield name.removesuffix("qweight") + "weight", (outputs, inputs), dtype
    elif name.endswith(".weight_packed") and len(shape) == 2:
        count = per_word if quantization.method == "compressed-tensors" else 2
        if count:
            yield name.removesuffix("_packed"), (shape[0], shape[1] * count), dtype
    elif name.endswith("_blocks") and len(shape) >= 2 and dtype == "U8":
        yield name.removesuffix("_blocks"), (*shape[:-2], shape[-2] * shape[-1] * 2), dtype
    elif quantization.method == "nvfp4" and dtype == "U8" and len(shape) >= 2:
        yield name, (*shape[:-1], shape[-1] * 2), dtype
    else:
        yield name, shape, dtype
