"""`steelyard adapters`: small weights that belong to a base model."""

from steelyard.cli.models import FINETUNING_TYPES
from steelyard.cli.resource import Field, Kind, Resource

ADAPTERS = Resource(
    noun="adapter",
    plural="adapters",
    path="/apis/models/v2/workspaces/{workspace}/adapters",
    about="Adapters: small weights (LoRA and its kin) that belong to a base model.",
    columns=("name", "model", "finetuning_type", "fileset", "enabled", "updated_at"),
    fields=(
        Field("model", "Its base model: name or workspace/name.", metavar="MODEL", fixed=True),
        Field("fileset", "The fileset with its weights: name or workspace/name.", metavar="FILESET", clearable=False),
        Field(
            "finetuning_type",
            "How it was made: lora, qlora, dora and more (TAB completes).",
            metavar="TYPE",
            choices=FINETUNING_TYPES,
            fixed=True,
        ),
        Field("description", "What it does."),
        Field("enabled", "Whether it may be used.", Kind.SWITCH, clearable=False),
        Field("lora_config", "Rank and alpha, as JSON; read from its files when not given.", Kind.JSON, fixed=True),
    ),
    examples=(
        "steelyard adapters create polite --model llama-3-8b --fileset polite --finetuning-type lora",
        "steelyard adapters update polite --no-enabled",
    ),
)
