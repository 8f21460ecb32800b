"""`steelyard models`: the records that everything else here is about."""

from steelyard.cli.resource import Field, Kind, Resource

FINETUNING_TYPES = (
    *("lora_merged", "all_weights", "last_layer", "top_layers", "gradual_unfreezing", "bias_only"),
    *("attention_only", "lora", "qlora", "adalora", "dora", "lora_plus", "prompt_tuning", "prefix_tuning"),
    *("p_tuning", "p_tuning_v2", "soft_prompt", "ppo", "dpo", "cdpo", "ipo", "orpo", "kto", "rrhf", "grpo"),
)

MODELS = Resource(
    noun="model",
    plural="models",
    path="/apis/models/v2/workspaces/{workspace}/models",
    about="Models: what each is, where its weights are, what it was made from, who serves it.",
    columns=("name", "base_model", "finetuning_type", "fileset", "model_providers", "updated_at"),
    fields=(
        Field("description", "What it is."),
        Field("project", "The project that it belongs to."),
        Field("base_model", "The model that it was made from: name or workspace/name.", metavar="MODEL"),
        Field("fileset", "The fileset with its weights: name or workspace/name.", metavar="FILESET"),
        Field(
            "finetuning_type",
            "How it was made from its base model: lora, all_weights, dpo and more (TAB completes).",
            metavar="TYPE",
            choices=FINETUNING_TYPES,
        ),
        Field(
            "backend_format",
            "What its backend speaks: OPENAI_CHAT or ANTHROPIC_MESSAGES.",
            metavar="FORMAT",
            choices=("OPENAI_CHAT", "ANTHROPIC_MESSAGES"),
        ),
        Field(
            "model_providers",
            "A provider that serves it: name or workspace/name.",
            Kind.TEXTS,
            option="--model-provider",
            metavar="PROVIDER",
        ),
        Field(
            "trust_remote_code",
            "Whether the code that comes with its weights may be run.",
            Kind.SWITCH,
            clearable=False,
        ),
        Field("spec", "Its architecture, as JSON, @file or - for stdin.", Kind.JSON),
        Field("prompt", "The prompt that goes with it, as JSON, @file or -.", Kind.JSON),
        Field(
            "pricing",
            'What it costs per million tokens, as JSON, @file or -: {"input": 0.5, "output": 1.5}.',
            Kind.JSON,
        ),
        Field(
            "routing",
            "How its requests are sent, as JSON, @file or -: choice, retries, hedge_seconds, cache_seconds.",
            Kind.JSON,
        ),
        Field("custom_fields", "Anything of your own, as JSON, @file or -.", Kind.JSON),
        Field("tags", 'Texts by their names, as JSON, @file or -: {"stage": "test"}.', Kind.JSON),
        Field("ownership", "Who owns it, as JSON, @file or -.", Kind.JSON),
        Field(
            "api_endpoint",
            "Where it is served: url, model_id, api_key, format. Others on this machine can see options, so "
            "give one with a key as @file or - for stdin.",
            Kind.JSON,
        ),
    ),
    freezes=True,
    hidden_part="the linear layers of its spec",
    examples=(
        "steelyard models create support-7b --base-model llama-3-8b --finetuning-type lora",
        "steelyard models update support-7b --description 'Answers tickets' --unset project",
        "steelyard models update support-7b --api-endpoint - < endpoint.json",
    ),
)
