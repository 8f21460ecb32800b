"""The tree of settings: what can be set, its default, and its bounds.

`Settings(...)` by itself reads nothing outside its arguments, so that a test or another program gets what it wrote;
`steelyard.settings.loading` is the command line's way in.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from steelyard.settings.access import AuthSettings
from steelyard.settings.inference import GatewaySettings, TelemetrySettings, UsageSettings
from steelyard.settings.values import (
    Items,
    Seconds,
    Section,
    Whole,
    Words,
    argv,
    folder,
    items,
    lower,
    named_folder,
    network,
    sealing_key,
)

PREFIX = "STEELYARD_"
DELIMITER = "__"


class LogSettings(Section):
    """What is logged."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = Field(
        "info", description="The least severe message that is logged."
    )
    access: bool = Field(True, description="Log one JSON line on stderr for each request.")


class LimitSettings(Section):
    """How large, how deep and how long things may be."""

    record_body_bytes: Whole = Field(
        1_048_576,
        ge=1024,
        le=64 * 1_048_576,
        description="The largest body of a request that writes a record, in bytes; a larger one is 413.",
    )
    batch_body_bytes: Whole = Field(
        16_777_216, ge=1024, le=1_073_741_824, description="The largest body, in bytes, of a batch of writes."
    )
    import_body_bytes: Whole = Field(
        268_435_456,
        ge=1_048_576,
        le=4_294_967_296,
        description="The largest body, in bytes, of an import.",
    )
    json_depth: Whole = Field(
        64, ge=8, le=128, description="How deeply arrays and objects of a body may be nested; deeper is 422."
    )
    head_seconds: Seconds = Field(
        30,
        gt=0,
        le=3600,
        description="How long, in seconds, the head of a request may take to come; half as long again at the most.",
    )
    head_bytes: Whole = Field(
        65_536, ge=4096, le=1_048_576, description="The largest head of a request, in bytes; a larger one is 431."
    )
    body_seconds: Seconds = Field(
        120, gt=0, le=86_400, description="The longest silence, in seconds, within the body of a request."
    )
    body_bytes_per_second: Whole = Field(
        256,
        ge=1,
        le=1_048_576,
        description="How fast a body must come, in bytes a second; who is slower is let go after body_seconds.",
    )
    connections: Whole = Field(
        4096,
        ge=16,
        le=1_000_000,
        description="How many connections may be open at once, and at most half of the open files that the system "
        "allows; others are turned away with 503.",
    )
    shutdown_seconds: Whole = Field(
        10, ge=0, le=3600, description="How long a stopping server waits, in seconds, for requests under way."
    )


class TrustRemoteCodeSettings(Section):
    """Trust in the code of checkpoints."""

    enabled: bool = Field(True, description="Whether a model may be marked as one whose own code may be run.")
    hf_allow_list: Words = Field(
        ("nvidia/.*",),
        description="Repositories of the Hugging Face Hub whose code may be trusted without asking anybody: names, or "
        "regular expressions that match all of a name.",
    )
    ngc_allow_list: Words = Field(("nvidia/.*",), description="The same for NGC, as `org/team/target`.")


class ToolCallPluginSettings(Section):
    """Plugins that find tool calls, which are code."""

    enabled: bool = Field(False, description="Whether a model's spec may name a tool call plugin.")


class ModelSettings(Section):
    """What policy allows of models."""

    trust_remote_code: TrustRemoteCodeSettings = TrustRemoteCodeSettings()
    tool_call_plugin: ToolCallPluginSettings = ToolCallPluginSettings()


class ObjectStoreSettings(Section):
    """Object storage for the bytes of files, instead of the data folder."""

    url: str | None = Field(
        None,
        max_length=1000,
        description="Where the bytes of files are kept, as `s3://bucket/prefix` (also `gs://`, `az://`). "
        "Unset: in the data folder.",
    )
    endpoint: str | None = Field(
        None, max_length=1000, description="The address of the service, where it is not that of the cloud's own."
    )
    region: str | None = Field(None, max_length=100, description="The region of the bucket.")
    access_key_id: str | None = Field(
        None, max_length=255, description="The key's id; unset: as the machine is set up."
    )
    secret_access_key: SecretStr | None = Field(None, description="The key's secret.")
    downloads: Literal["proxied", "presigned"] = Field(
        "proxied",
        description="Whether downloads go through this server, or are redirected to the object store, for ten minutes.",
    )


class FileSettings(Section):
    """Files, and what policy says of them."""

    max_bytes: Whole = Field(
        1_099_511_627_776, ge=1, le=2**53, description="The largest file, in bytes; a larger one is 413."
    )
    upload_hours: Whole = Field(
        24, ge=1, le=720, description="How many hours an upload that is not finished can be resumed."
    )
    keep_replaced_days: Whole = Field(
        0,
        ge=0,
        le=36_500,
        description="How many days replaced and removed files can be read by their commit; "
        "0: as long as their fileset is kept.",
    )
    pickles: Literal["allow", "warn", "safetensors_only"] = Field(
        "warn",
        description="What becomes of files that run code when they are loaded: allowed, allowed with their findings "
        "shown, or neither taken nor handed out. A workspace can have its own `file_policy`.",
    )
    untrusted_code: Literal["serve", "refuse"] = Field(
        "refuse",
        description="Whether Python files and dangerous pickles are handed out of the fileset of a model whose code "
        "nobody has trusted. A workspace can have its own `file_policy`.",
    )
    source_hosts: Items = Field(
        ("huggingface.co", "*.huggingface.co", "*.hf.co", "authn.nvidia.com", "*.ngc.nvidia.com", "*.amazonaws.com"),
        description="The hosts that filesets may take their files from; `*.example.com` for all names below one.",
    )
    folders: Annotated[tuple[Annotated[str, AfterValidator(named_folder)], ...], NoDecode, BeforeValidator(items)] = (
        Field(
            (),
            description="Folders of this machine that filesets may take their files from, each with the name that it "
            "is known by, as `models=/srv/models`.",
        )
    )
    object_store: ObjectStoreSettings = ObjectStoreSettings()


class SecretSettings(Section):
    """Secrets, which other records name."""

    access: Literal["refused", "open"] = Field(
        "refused",
        description="Whether the values of secrets can be read over the API: by nobody, or by everybody who reaches "
        "this server. The server itself uses them either way.",
    )


class HistorySettings(Section):
    """What is kept of changes and deletes."""

    enabled: bool = Field(
        True,
        description="Whether each change leaves a revision. Off: no history, no way back, and nothing in the feed.",
    )
    retention_days: Whole = Field(
        30,
        ge=0,
        le=36_500,
        description="How many days a deleted record can be undeleted; then it is purged with its history.",
    )


class StoreSettings(Section):
    """The database."""

    readers: Whole = Field(
        2, ge=1, le=16, description="How many read-only database connections serve lists beside the writer."
    )


class OutboundSettings(Section):
    """Where the server may send requests to."""

    schemes: Annotated[tuple[Literal["https", "http"], ...], NoDecode, BeforeValidator(items)] = Field(
        ("https", "http"), min_length=1, description="The schemes of URLs that the server may send requests to."
    )
    allow_private: bool = Field(
        False,
        description="Whether requests may go to this machine and to private networks. "
        "Link-local and metadata addresses need `outbound.allowed_networks` even so.",
    )
    allowed_hosts: Items = Field(
        (), description="Host names that may be private addresses; `*.example.com` for all names below one."
    )
    allowed_networks: Annotated[
        tuple[Annotated[str, AfterValidator(network)], ...], NoDecode, BeforeValidator(items)
    ] = Field((), description="Networks that requests may go to, whatever they are, as `10.0.0.0/8`.")
    ca_bundle: Annotated[Path, AfterValidator(folder)] | None = Field(
        None, description="A PEM file with certificate authorities that are trusted beside those of the system."
    )


class WebhookSettings(Section):
    """How events are delivered to webhooks."""

    timeout_seconds: Whole = Field(15, ge=1, le=300, description="How long, in seconds, a receiver may take to answer.")
    concurrency: Whole = Field(16, ge=1, le=256, description="How many deliveries are under way at once.")
    backoff_seconds: Whole = Field(
        5,
        ge=1,
        le=3600,
        description="How long to wait after the first failure, in seconds; each further one doubles it.",
    )
    backoff_max_seconds: Whole = Field(
        3600, ge=1, le=86_400, description="The longest wait between two attempts, in seconds."
    )
    disable_after_failures: Whole = Field(
        20, ge=1, le=100_000, description="After how many failures in a row a webhook is disabled, at the earliest."
    )
    disable_after_hours: Whole = Field(
        24, ge=0, le=8760, description="After how many hours of nothing but failures it is disabled, at the earliest."
    )
    rotation_hours: Whole = Field(
        24, ge=0, le=720, description="How many hours deliveries are signed with a replaced secret too."
    )
    kept_deliveries: Whole = Field(
        1000, ge=1, le=1_000_000, description="How many deliveries of each webhook are remembered."
    )


class Settings(BaseSettings):
    """All settings of one server; a value that is passed in, never a global."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
    )

    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on; `0.0.0.0` for all.")
    port: Whole = Field(8080, ge=0, le=65535, description="The TCP port to listen on; 0 takes any free one.")
    data_dir: Annotated[Path, AfterValidator(folder)] = Field(
        Path("steelyard-data"),
        description="The folder that holds all data of the server; made when missing. "
        "A relative path starts at the folder the server is started in.",
    )
    master_key: Annotated[SecretStr, AfterValidator(sealing_key)] | None = Field(
        None,
        description="The key that seals stored secrets, 32 bytes in base64 (`openssl rand -base64 32`). "
        "Unset: a key file in the data folder, made at the first start.",
    )
    master_key_file: Annotated[Path, AfterValidator(folder)] | None = Field(
        None,
        description="A file with the master key instead, which only its owner can read. Lines below the first hold "
        "keys from before, which still open what they sealed.",
    )
    master_key_command: Annotated[tuple[str, ...], NoDecode, BeforeValidator(argv)] = Field(
        (),
        description="A command, run without a shell, that wraps the master key of the data folder: it is called with "
        "`wrap` or `unwrap` added, gets bytes in base64 on its standard input, and answers bytes in base64.",
    )
    master_key_previous: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(items)] = Field(
        (),
        description="Master keys from before, in base64 or as paths of files, which still open what they sealed.",
    )
    unknown_fields: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="What becomes of unknown fields in a body: refused with 422, or ignored for clients "
        "of another version.",
    )
    strict_references: bool = Field(
        False, description="Refuse a reference to a model or provider that is not here (yet) with 422."
    )
    protect_references: bool = Field(
        False,
        description="Refuse (409) to delete a record that others refer to, instead of counting them.",
    )
    log: LogSettings = LogSettings()
    limits: LimitSettings = LimitSettings()
    models: ModelSettings = ModelSettings()
    files: FileSettings = FileSettings()
    secrets: SecretSettings = SecretSettings()
    history: HistorySettings = HistorySettings()
    store: StoreSettings = StoreSettings()
    outbound: OutboundSettings = OutboundSettings()
    webhooks: WebhookSettings = WebhookSettings()
    auth: AuthSettings = AuthSettings()
    gateway: GatewaySettings = GatewaySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    usage: UsageSettings = UsageSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The environment reaches us through `load_settings` only, which says where each value came from.
        return (init_settings,)
