"""The spec of a model: its architecture in numbers, as engines and trainers ask for it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from steelyard.records.forms import Form

Count = Annotated[int, Field(ge=0)]


class LinearLayer(Form):
    """A linear layer's name in the checkpoint, and its numbers of input and output features."""

    name: str
    in_features: Count
    out_features: Count


# One fault is told of so many: wording a hundred thousand takes seconds.
LinearLayers = Annotated[list[LinearLayer], Field(max_length=50_000, fail_fast=True)]


class MoEConfig(Form):
    """A mixture of experts."""

    num_experts: Count
    num_experts_per_tok: Count
    num_expert_layers: Count
    expert_ffn_size: Count | None = None
    num_shared_experts: Count = 0


class MambaConfig(Form):
    """State-space layers, alone or in a hybrid with attention."""

    is_hybrid: bool
    num_mamba_layers: Count
    num_attention_layers: Count = 0
    num_mlp_layers: Count = 0
    state_size: Count = 16
    conv_kernel: Count = 4


class SlidingWindowConfig(Form):
    """Attention that looks back `window_size` tokens."""

    window_size: Count


class ToolCallConfig(Form):
    """How an engine finds tool calls in what the model writes. A plugin is code: see `policy.py`."""

    tool_call_parser: Annotated[str, Field(max_length=255)] | None = None
    tool_call_plugin: Annotated[str, Field(max_length=255)] | None = None
    auto_tool_choice: bool | None = None


class ModelSpec(Form):
    """Sizes are counts of elements (not bytes); `context_size` is in tokens."""

    checkpoint_model_name: str
    family: str
    num_layers: Count
    hidden_size: Count
    num_attention_heads: Count
    num_kv_heads: Count
    ffn_hidden_size: Count
    vocab_size: Count
    tied_embeddings: bool
    gated_mlp: bool
    base_num_parameters: Count
    precision: str
    context_size: Count | None = None
    num_virtual_tokens: Count | None = None
    is_chat: bool | None = None
    is_embedding_model: bool = False
    moe_config: MoEConfig | None = None
    mamba_config: MambaConfig | None = None
    sliding_window_config: SlidingWindowConfig | None = None
    linear_layers: LinearLayers | None = None
    chat_template: str | None = None
    tool_call_config: ToolCallConfig | None = None
    minimum_gpus_all_weights: Count | None = None
    minimum_gpus_lora: Count | None = None


class FinetuningType(StrEnum):
    """What of a model was trained, and how."""

    LORA_MERGED = "lora_merged"
    ALL_WEIGHTS = "all_weights"
    LAST_LAYER = "last_layer"
    TOP_LAYERS = "top_layers"
    GRADUAL_UNFREEZING = "gradual_unfreezing"
    BIAS_ONLY = "bias_only"
    ATTENTION_ONLY = "attention_only"
    LORA = "lora"
    QLORA = "qlora"
    ADALORA = "adalora"
    DORA = "dora"
    LORA_PLUS = "lora_plus"
    PROMPT_TUNING = "prompt_tuning"
    PREFIX_TUNING = "prefix_tuning"
    P_TUNING = "p_tuning"
    P_TUNING_V2 = "p_tuning_v2"
    SOFT_PROMPT = "soft_prompt"
    PPO = "ppo"
    DPO = "dpo"
    CDPO = "cdpo"
    IPO = "ipo"
    ORPO = "orpo"
    KTO = "kto"
    RRHF = "rrhf"
    GRPO = "grpo"
