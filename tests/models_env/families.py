"""A small model of each family, built from a config, without a download."""

from collections.abc import Callable, Mapping
from typing import Any

import transformers as hf

_SIZES = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 128}
_DENSE = {**_SIZES, "intermediate_size": 96, "max_position_embeddings": 256}
_GROUPED = {**_DENSE, "num_key_value_heads": 2}
_TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
_CLIP = {"model_type": "clip_vision_model", **_VISION, "image_size": 28, "patch_size": 14, "projection_dim": 16}
_SIGLIP = {"model_type": "siglip_vision_model", **_VISION, "image_size": 28, "patch_size": 14}
_MLA = {"kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 16}
_ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 40, "n_shared_experts": 1}
_SECTIONS = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}}
_HYBRID = {"mamba_num_heads": 8, "mamba_head_dim": 16, "ssm_state_size": 16, "n_groups": 2, "chunk_size": 16}

Maker = Callable[[], Any]


def _causal(config: type, **values: Any) -> Maker:
    return lambda: hf.AutoModelForCausalLM.from_config(config(**values))


def _made(model: type, config: type, **values: Any) -> Maker:
    return lambda: model(config(**values))


FAMILIES: Mapping[str, Maker] = {
    "llama": _causal(hf.LlamaConfig, **_GROUPED),
    "llama-tied": _causal(hf.LlamaConfig, **_GROUPED, tie_word_embeddings=True),
    "llama-head-dim": _causal(hf.LlamaConfig, **_GROUPED, head_dim=32),
    "llama-biased": _causal(hf.LlamaConfig, **_GROUPED, attention_bias=True, mlp_bias=True),
    "llama-base": _made(hf.LlamaModel, hf.LlamaConfig, **_GROUPED),
    "llama-classifier": _made(hf.LlamaForSequenceClassification, hf.LlamaConfig, **_GROUPED, num_labels=3, **_TOKENS),
    "mistral": _causal(hf.MistralConfig, **_GROUPED, sliding_window=64),
    "mistral-full": _causal(hf.MistralConfig, **_GROUPED, sliding_window=None),
    "mixtral": _causal(hf.MixtralConfig, **_GROUPED, num_local_experts=4, num_experts_per_tok=2),
    "qwen2": _causal(hf.Qwen2Config, **_GROUPED),
    "qwen2-tied-windowed": _causal(
        hf.Qwen2Config,
        **_GROUPED,
        tie_word_embeddings=True,
        use_sliding_window=True,
        sliding_window=32,
        max_window_layers=1,
    ),
    "qwen2_moe": _causal(
        hf.Qwen2MoeConfig,
        **_GROUPED,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=40,
        shared_expert_intermediate_size=56,
        decoder_sparse_step=1,
        mlp_only_layers=[0],
    ),
    "qwen3": _causal(hf.Qwen3Config, **_GROUPED, head_dim=32),
    "qwen3_moe": _causal(
        hf.Qwen3MoeConfig, **_GROUPED, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=40, head_dim=32
    ),
    "qwen3_next": _causal(
        hf.Qwen3NextConfig,
        **{**_GROUPED, "num_hidden_layers": 4},
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=40,
        shared_expert_intermediate_size=40,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        head_dim=32,
    ),
    "gemma": _causal(hf.GemmaConfig, **_GROUPED, head_dim=32),
    "gemma2": _causal(hf.Gemma2Config, **_GROUPED, head_dim=32, sliding_window=32),
    "gemma3_text": _causal(hf.Gemma3TextConfig, **_GROUPED, head_dim=32, sliding_window=32),
    "phi": _causal(hf.PhiConfig, **_DENSE),
    "phi3": _causal(hf.Phi3Config, **_GROUPED, **_TOKENS),
    "gpt2": _causal(hf.GPT2Config, n_embd=64, n_layer=3, n_head=4, vocab_size=128, n_positions=256, **_TOKENS),
    "gpt2-inner": _causal(
        hf.GPT2Config, n_embd=64, n_layer=3, n_head=4, n_inner=80, vocab_size=128, n_positions=256, **_TOKENS
    ),
    "gpt_bigcode": _causal(hf.GPTBigCodeConfig, n_embd=64, n_layer=3, n_head=4, vocab_size=128, n_positions=256),
    "gpt_neox": _causal(hf.GPTNeoXConfig, **_DENSE),
    "gptj": _causal(hf.GPTJConfig, n_embd=64, n_layer=3, n_head=4, vocab_size=128, n_positions=256, rotary_dim=8),
    "gpt_oss": _causal(
        hf.GptOssConfig, **_GROUPED, head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=32
    ),
    "nemotron": _causal(hf.NemotronConfig, **_GROUPED),
    "nemotron_h": _causal(
        hf.NemotronHConfig,
        **{**_GROUPED, "num_hidden_layers": 4},
        **_HYBRID,
        head_dim=16,
        layers_block_type=["mamba", "attention", "mlp", "mamba"],
    ),
    "nemotron_h-moe": _causal(
        hf.NemotronHConfig,
        **{**_GROUPED, "num_hidden_layers": 4},
        **_HYBRID,
        **_ROUTED,
        moe_shared_expert_intermediate_size=56,
        head_dim=16,
        layers_block_type=["mamba", "moe", "attention", "moe"],
    ),
    "mamba": _causal(hf.MambaConfig, hidden_size=64, num_hidden_layers=3, vocab_size=128, state_size=8),
    "mamba2": _causal(
        hf.Mamba2Config,
        **{"hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 128, "state_size": 16},
        **{"num_heads": 8, "head_dim": 16, "n_groups": 2, "expand": 2},
        **_TOKENS,
    ),
    "falcon_mamba": _causal(hf.FalconMambaConfig, hidden_size=64, num_hidden_layers=3, vocab_size=128, state_size=8),
    "falcon": _causal(hf.FalconConfig, **_SIZES, new_decoder_architecture=False, multi_query=True),
    "falcon-many": _causal(hf.FalconConfig, **_SIZES, new_decoder_architecture=False, multi_query=False),
    "falcon-new": _causal(hf.FalconConfig, **_SIZES, new_decoder_architecture=True, num_kv_heads=2),
    "falcon_h1": _causal(
        hf.FalconH1Config,
        **_GROUPED,
        mamba_d_ssm=64,
        mamba_n_heads=4,
        mamba_d_head=16,
        mamba_d_state=16,
        mamba_n_groups=1,
        mamba_chunk_size=16,
    ),
    "jamba": _causal(
        hf.JambaConfig,
        **{**_GROUPED, "num_hidden_layers": 4},
        num_experts=4,
        num_experts_per_tok=2,
        attn_layer_period=4,
        attn_layer_offset=2,
        expert_layer_period=2,
        expert_layer_offset=1,
        use_mamba_kernels=False,
    ),
    "bert": _made(hf.BertModel, hf.BertConfig, **_DENSE),
    "bert-masked": _made(hf.BertForMaskedLM, hf.BertConfig, **_DENSE),
    "bert-classifier": _made(hf.BertForSequenceClassification, hf.BertConfig, **_DENSE, num_labels=3),
    "roberta-masked": _made(hf.RobertaForMaskedLM, hf.RobertaConfig, **_DENSE, pad_token_id=1),
    "xlm-roberta": _made(hf.XLMRobertaModel, hf.XLMRobertaConfig, **_DENSE, pad_token_id=1),
    "distilbert": _made(
        hf.DistilBertModel, hf.DistilBertConfig, dim=64, n_layers=3, n_heads=4, hidden_dim=96, vocab_size=128
    ),
    "electra": _made(hf.ElectraModel, hf.ElectraConfig, **_DENSE, embedding_size=32),
    "albert": _made(hf.AlbertModel, hf.AlbertConfig, **_DENSE, embedding_size=32),
    "deberta-v2": _made(hf.DebertaV2Model, hf.DebertaV2Config, **_DENSE),
    "mpnet": _made(hf.MPNetModel, hf.MPNetConfig, **_DENSE),
    "modernbert": _made(hf.ModernBertModel, hf.ModernBertConfig, **_DENSE, **_TOKENS),
    "modernbert-masked": _made(hf.ModernBertForMaskedLM, hf.ModernBertConfig, **_DENSE, **_TOKENS),
    "t5": _made(
        hf.T5ForConditionalGeneration,
        hf.T5Config,
        **{"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 3, "num_heads": 4, "vocab_size": 128},
    ),
    "t5-gated": _made(
        hf.T5ForConditionalGeneration,
        hf.T5Config,
        **{"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 3, "num_heads": 4, "vocab_size": 128},
        **{"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_decoder_layers": 2},
    ),
    "t5-encoder": _made(
        hf.T5EncoderModel,
        hf.T5Config,
        **{"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 3, "num_heads": 4, "vocab_size": 128},
    ),
    "bart": _made(
        hf.BartForConditionalGeneration,
        hf.BartConfig,
        **{"d_model": 64, "encoder_layers": 3, "decoder_layers": 2, "vocab_size": 128, "max_position_embeddings": 64},
        **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 96, "decoder_ffn_dim": 96},
        **_TOKENS,
    ),
    "deepseek_v2": _causal(hf.DeepseekV2Config, **_DENSE, **_MLA, **_ROUTED, first_k_dense_replace=1),
    "deepseek_v3": _causal(
        hf.DeepseekV3Config,
        **_DENSE,
        **_MLA,
        **_ROUTED,
        num_key_value_heads=4,
        first_k_dense_replace=1,
        n_group=2,
        topk_group=1,
    ),
    "opt": _causal(
        hf.OPTConfig,
        **{"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 96, "vocab_size": 128},
        **{"max_position_embeddings": 256, "word_embed_proj_dim": 32},
    ),
    "bloom": _causal(hf.BloomConfig, hidden_size=64, n_layer=3, n_head=4, vocab_size=128),
    "olmo2": _causal(hf.Olmo2Config, **_GROUPED),
    "olmoe": _causal(hf.OlmoeConfig, **_GROUPED, num_experts=4, num_experts_per_tok=2),
    "cohere": _causal(hf.CohereConfig, **_GROUPED),
    "cohere2": _causal(hf.Cohere2Config, **{**_GROUPED, "num_hidden_layers": 4}, sliding_window=32),
    "granite": _causal(hf.GraniteConfig, **_GROUPED),
    "granitemoe": _causal(hf.GraniteMoeConfig, **_GROUPED, num_local_experts=4, num_experts_per_tok=2),
    "stablelm": _causal(hf.StableLmConfig, **_GROUPED),
    "starcoder2": _causal(hf.Starcoder2Config, **_GROUPED, sliding_window=64, **_TOKENS),
    "smollm3": _causal(hf.SmolLM3Config, **_GROUPED, **_TOKENS),
    "glm4": _causal(hf.Glm4Config, **_GROUPED, head_dim=16, **_TOKENS),
    "glm4_moe": _causal(
        hf.Glm4MoeConfig, **_GROUPED, **_ROUTED, head_dim=16, first_k_dense_replace=1, n_group=2, topk_group=1
    ),
    "llama4_text": _causal(
        hf.Llama4TextConfig,
        **_GROUPED,
        intermediate_size_mlp=80,
        head_dim=16,
        num_local_experts=4,
        attention_chunk_size=32,
        interleave_moe_layer_step=2,
    ),
    "phimoe": _causal(hf.PhimoeConfig, **_GROUPED, num_local_experts=4, num_experts_per_tok=2),
    "llava": _made(
        hf.LlavaForConditionalGeneration,
        hf.LlavaConfig,
        text_config={"model_type": "llama", **_GROUPED},
        vision_config=_CLIP,
    ),
    "llava-tied": _made(
        hf.LlavaForConditionalGeneration,
        hf.LlavaConfig,
        text_config={"model_type": "llama", **_GROUPED, "tie_word_embeddings": True},
        vision_config=_CLIP,
        tie_word_embeddings=True,
    ),
    "gemma3": _made(
        hf.Gemma3ForConditionalGeneration,
        hf.Gemma3Config,
        text_config={"model_type": "gemma3_text", **_GROUPED, "head_dim": 32, "sliding_window": 32},
        vision_config=_SIGLIP,
        mm_tokens_per_image=4,
    ),
    "qwen2_vl": _made(
        hf.Qwen2VLForConditionalGeneration,
        hf.Qwen2VLConfig,
        text_config={"model_type": "qwen2_vl_text", **_GROUPED, **_TOKENS, **_SECTIONS},
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 14},
    ),
    "qwen2_5_vl": _made(
        hf.Qwen2_5_VLForConditionalGeneration,
        hf.Qwen2_5_VLConfig,
        text_config={"model_type": "qwen2_5_vl_text", **_GROUPED, **_TOKENS, **_SECTIONS},
        vision_config={
            **{"depth": 2, "hidden_size": 32, "out_hidden_size": 64, "num_heads": 2, "patch_size": 14},
            **{"intermediate_size": 48, "fullatt_block_indexes": [1]},
        },
    ),
    "mistral3": _made(
        hf.Mistral3ForConditionalGeneration,
        hf.Mistral3Config,
        text_config={"model_type": "mistral", **_GROUPED, "head_dim": 16},
        vision_config={"model_type": "pixtral", **_VISION, "head_dim": 16, "image_size": 28, "patch_size": 14},
    ),
    "mllama": _made(
        hf.MllamaForConditionalGeneration,
        hf.MllamaConfig,
        text_config={"model_type": "mllama_text_model", **_GROUPED, "cross_attention_layers": [1], **_TOKENS},
        vision_config={
            **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_global_layers": 1},
            **{"attention_heads": 2, "image_size": 28, "patch_size": 14, "vision_output_dim": 64},
            **{"intermediate_layers_indices": [0], "max_num_tiles": 2, "supported_aspect_ratios": [[1, 1], [1, 2]]},
        },
    ),
}
