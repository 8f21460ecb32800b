"""Mixtures of experts and state-space layers: their configs, from `config.json` and the shapes of the weights."""

from collections.abc import Sequence
from typing import Any

from steelyard.inspect.attention import ATTENDING, RECURRENT, Kinds, LayerKind
from steelyard.inspect.config import Config, Count
from steelyard.inspect.feedforward import FeedForward
from steelyard.inspect.layout import StateLayers

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "num_selected_experts")
_EXPERT_SIZE = ("moe_intermediate_size", "expert_ffn_hidden_size")
_SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
# Families whose expert layers all have one shared expert, which their config need not count.
_ONE_SHARED = {"qwen2_moe", "qwen3_next", "llama4_text"}


def moe_config(config: Config, forward: FeedForward, kinds: Kinds) -> tuple[dict[str, Any], str] | str | None:
    """The mixture of experts with its source, a reason why it is not known, or None if there is none."""
    experts = config.count(*_EXPERTS)
    if forward.experts and (experts is None or experts.value != forward.experts):
        if experts is not None:
            config.fault(experts.source, f"says {experts.value} experts, but the weights have {forward.experts}")
        experts = Count(forward.experts, "shapes of the weights")
    if experts is None or experts.value < 2:
        return None
    chosen = config.count(*_CHOSEN)
    layers = forward.expert_layers or _expert_layers(config, kinds)
    if chosen is None or not layers:
        missing = "how many experts a token is sent to" if chosen is None else "how many layers have experts"
        return f"config.json does not say {missing}"
    return {
        "num_experts": experts.value,
        "num_experts_per_tok": chosen.value,
        "num_expert_layers": layers,
        "expert_ffn_size": _expert_size(config, forward),
        "num_shared_experts": _shared(config),
    }, experts.source


def _expert_layers(config: Config, kinds: Kinds) -> int | None:
    """Which layers have experts, where only the config can tell; None for families whose rule is not known here."""
    count = len(kinds)
    family = config.family or ""
    if family in {"mixtral", "gpt_oss", "phimoe", "olmoe", "granitemoe", "granitemoehybrid"}:
        return count
    dense = config.count("first_k_dense_replace")
    if family in {"deepseek_v2", "deepseek_v3", "glm4_moe"} and dense is not None:
        return max(count - dense.value, 0)
    if family.startswith("qwen") and config.known:
        step = config.size("decoder_sparse_step")
        plain = set(config.numbers("mlp_only_layers") or ())
        every = step.value if step is not None else 1
        return sum(1 for layer in range(count) if layer not in plain and (layer + 1) % every == 0)
    return None


def _expert_size(config: Config, forward: FeedForward) -> int | None:
    if forward.expert_size is not None:
        return forward.expert_size
    stated = config.count(*_EXPERT_SIZE)
    if stated is None and config.family in {"mixtral", "gpt_oss", "phimoe", "olmoe", "granitemoe", "llama4_text"}:
        stated = config.count("intermediate_size")
    return stated.value if stated is not None else None


def _shared(config: Config) -> int:
    stated = config.count(*_SHARED)
    if stated is not None:
        return stated.value
    return 1 if config.family in _ONE_SHARED else 0


def mamba_config(config: Config, kinds: Kinds) -> tuple[dict[str, Any], str] | str | None:
    """The state-space layers with their source, a reason why they are not known, or None if there are none."""
    recurrent = sum(kind in RECURRENT for kind in kinds)
    if not recurrent:
        return None
    state, conv = _state_size(config), _conv_kernel(config)
    if state is None or conv is None:
        return (
            f"config.json does not say {'the size of the state' if state is None else 'the width of the convolution'}"
        )
    attending = sum(kind in ATTENDING for kind in kinds)
    plain = sum(kind == LayerKind.NONE for kind in kinds)
    return {
        "is_hybrid": attending > 0 or plain > 0,
        "num_mamba_layers": recurrent,
        "num_attention_layers": attending,
        "num_mlp_layers": plain,
        "state_size": state.value,
        "conv_kernel": conv.value,
    }, state.source


def _state_size(config: Config) -> Count | None:
    return config.size("ssm_state_size", "mamba_d_state", "state_size")


def _conv_kernel(config: Config) -> Count | None:
    return config.size("mamba_d_conv", "conv_kernel")


def state_layers(config: Config, kinds: Kinds, hidden: int) -> tuple[StateLayers, ...] | None:
    """What the recurrent layers keep per sequence, in elements; None where their sizes are not known."""
    found = []
    recurrent = sum(kind in RECURRENT for kind in kinds)
    if recurrent:
        one = _mamba_state(config, hidden)
        if one is None:
            return None
        found.append(StateLayers(count=recurrent, conv_elements=one[0], state_elements=one[1]))
    linear = sum(kind == LayerKind.LINEAR for kind in kinds)
    if linear:
        one = _delta_state(config)
        if one is None:
            return None
        found.append(StateLayers(count=linear, conv_elements=one[0], state_elements=one[1]))
    return tuple(found)


def _mamba_state(config: Config, hidden: int) -> tuple[int, int] | None:
    """Elements of the convolution and of the state: of Mamba `d_inner * kernel` and `d_inner * state`; of Mamba-2
    `(d_inner + 2 * groups * state) * kernel` and `heads * head_dim * state`.
    """
    state, conv = _state_size(config), _conv_kernel(config)
    if state is None or conv is None:
        return None
    heads = config.size("mamba_num_heads", "mamba_n_heads", "n_mamba_heads")
    head_dim = config.count("mamba_head_dim")
    if config.family == "mamba2":
        heads, head_dim = config.size("num_heads"), config.count("head_dim")
    inner = config.size("mamba_d_ssm")
    expand = config.size("mamba_expand", "expand")
    if heads is not None and head_dim is not None:
        width = heads.value * head_dim.value
    elif inner is not None and config.family == "falcon_h1":
        width = inner.value
    elif config.family in {"mamba", "falcon_mamba"} and (given := config.size("intermediate_size")) is not None:
        width = given.value
    elif expand is not None:
        width = expand.value * hidden
    else:
        return None
    if heads is None:
        return width * conv.value, width * state.value
    groups = config.size("n_groups", "mamba_n_groups", "mamba_ngroups")
    if groups is None:
        return None
    return (width + 2 * groups.value * state.value) * conv.value, width * state.value


def _delta_state(config: Config) -> tuple[int, int] | None:
    keys = ("linear_num_key_heads", "linear_key_head_dim", "linear_num_value_heads", "linear_value_head_dim")
    sizes: Sequence[Count | None] = [config.size(key) for key in keys]
    conv = config.size("linear_conv_kernel_dim")
    known = [size.value for size in sizes if size is not None]
    if conv is None or len(known) != len(keys):
        return None
    key_heads, key_dim, value_heads, value_dim = known
    return (2 * key_heads * key_dim + value_heads * value_dim) * conv.value, value_heads * key_dim * value_dim
