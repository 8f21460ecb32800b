"""The tree of settings: what can be set, its default, and its bounds.

`Settings(...)` by itself reads nothing outside its arguments, so that a test or another program gets what it wrote;
`steelyard.settings.loading` is the command line's way in.
"""

import shlex
from base64 import b64decode, b64encode
from ipaddress import ip_network
from pathlib import Path
from re import fullmatch
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "STEELYARD_"
DELIMITER = "__"


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        # pydantic takes only ValueError for a wrong value; TypeError would be a fault of ours.
        raise ValueError("a truth value is not a number")  # noqa: TRY004
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _folder(value: Path) -> Path:
    if value == Path() or "\0" in str(value):
        raise ValueError("not the path of a folder")
    # A shell expands `~` in a flag, nobody does in a TOML file.
    return value.expanduser()


def _key(value: SecretStr) -> SecretStr:
    # Both alphabets, and padding or none, are in use; one form goes on from here.
    text = value.get_secret_value().strip().replace("-", "+").replace("_", "/")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ValueError("not base64") from None
    if len(key) != 32:
        raise ValueError("not 32 bytes")
    return SecretStr(b64encode(key).decode())


def _items(value: object) -> object:
    # A flag or a variable is one text; a TOML file has arrays.
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _argv(value: object) -> object:
    # A text is taken apart as a shell would, but no shell runs.
    return shlex.split(value) if isinstance(value, str) else value


def _collector(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise ValueError("not an http or https URL")
    return value


def _pairs(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    pairs = [item.partition("=") for item in text.split(",")]
    if not (text.isascii() and text.isprintable() and all(name.strip() and after.strip() for name, _, after in pairs)):
        raise ValueError("not pairs of name and value")
    return value


def _address(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or "@" in url.netloc:
        raise ValueError("not an http or https URL")
    return value


def _workload(value: str) -> str:
    parts = [part.strip() for part in value.split("|")]
    if len(parts) not in {3, 4} or not all(parts):
        raise ValueError("not issuer|subject pattern|principal, nor issuer|subject pattern|principal|scopes")
    _address(parts[0])
    if parts[1][0] in "*?[":
        raise ValueError("the subject pattern must begin with what it is about")
    if not fullmatch(r"[A-Za-z0-9@._\-:+/]{1,256}", parts[2]) or parts[2].startswith("group:"):
        raise ValueError("the principal has characters that no name has")
    return "|".join(parts)


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("shorter than 16 characters")
    return value


def _network(value: str) -> str:
    return str(ip_network(value, strict=False))


def _named_folder(value: str) -> str:
    name, found, path = value.partition("=")
    if not found or not name.strip().isidentifier() or not Path(path.strip()).is_absolute():
        raise ValueError("not a name and the whole path of a folder, as models=/srv/models")
    return f"{name.strip()}={path.strip()}"


Whole = Annotated[int, BeforeValidator(_not_bool)]
Seconds = Annotated[float, BeforeValidator(_not_bool), Field(gt=0, le=86_400)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items)]
Items = Annotated[tuple[Annotated[str, BeforeValidator(_lower)], ...], NoDecode, BeforeValidator(_items)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LogSettings(_Section):
    """What is logged."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        "info", description="The least severe message that is logged."
    )
    access: bool = Field(True, description="Log one JSON line on stderr for each request.")


class LimitSettings(_Section):
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
    shutdown_seconds: Whole = Field(
        10, ge=0, le=3600, description="How long a stopping server waits, in seconds, for requests under way."
    )


class TrustRemoteCodeSettings(_Section):
    """Trust in the code of checkpoints."""

    enabled: bool = Field(True, description="Whether a model may be marked as one whose own code may be run.")
    hf_allow_list: Words = Field(
        ("nvidia/.*",),
        description="Repositories of the Hugging Face Hub whose code may be trusted without asking anybody: names, or "
        "regular expressions that match all of a name.",
    )
    ngc_allow_list: Words = Field(("nvidia/.*",), description="The same for NGC, as `org/team/target`.")


class ToolCallPluginSettings(_Section):
    """Plugins that find tool calls, which are code."""

    enabled: bool = Field(False, description="Whether a model's spec may name a tool call plugin.")


class ModelSettings(_Section):
    """What policy allows of models."""

    trust_remote_code: TrustRemoteCodeSettings = TrustRemoteCodeSettings()
    tool_call_plugin: ToolCallPluginSettings = ToolCallPluginSettings()


class ObjectStoreSettings(_Section):
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


class FileSettings(_Section):
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
    folders: Annotated[tuple[Annotated[str, AfterValidator(_named_folder)], ...], NoDecode, BeforeValidator(_items)] = (
        Field(
            (),
            description="Folders of this machine that filesets may take their files from, each with the name that it "
            "is known by, as `models=/srv/models`.",
        )
    )
    object_store: ObjectStoreSettings = ObjectStoreSettings()


class SecretSettings(_Section):
    """Secrets, which other records name."""

    access: Literal["refused", "open"] = Field(
        "refused",
        description="Whether the values of secrets can be read over the API: by nobody, or by everybody who reaches "
        "this server. The server itself uses them either way.",
    )


class HistorySettings(_Section):
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


class StoreSettings(_Section):
    """The database."""

    readers: Whole = Field(
        2, ge=1, le=16, description="How many read-only database connections serve lists beside the writer."
    )


class OutboundSettings(_Section):
    """Where the server may send requests to."""

    schemes: Annotated[tuple[Literal["https", "http"], ...], NoDecode, BeforeValidator(_items)] = Field(
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
        tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_items)
    ] = Field((), description="Networks that requests may go to, whatever they are, as `10.0.0.0/8`.")
    ca_bundle: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None, description="A PEM file with certificate authorities that are trusted beside those of the system."
    )


class WebhookSettings(_Section):
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


class GatewaySettings(_Section):
    """How requests for inference go to those who serve the models. A provider's own `timeouts` and `limits` win."""

    body_bytes: Whole = Field(
        33_554_432, ge=1024, le=1_073_741_824, description="The largest body of a request for inference, in bytes."
    )
    answer_bytes: Whole = Field(
        67_108_864,
        ge=1024,
        le=1_073_741_824,
        description="The largest answer that is not a stream, and the largest event of one that is, in bytes.",
    )
    connect_seconds: Seconds = Field(5.0, description="How long connecting to an upstream may take, TLS included.")
    first_byte_seconds: Seconds = Field(
        300.0,
        description="How long an upstream may take from the request to the head of its answer, and from there "
        "to the first token of a stream.",
    )
    between_chunks_seconds: Seconds = Field(
        120.0, description="How long an upstream may be silent in the middle of an answer."
    )
    total_seconds: Seconds = Field(
        3600.0, description="How long a request may take in all, retries and streams included."
    )
    retries: Whole = Field(
        2, ge=0, le=10, description="How often a request that failed before its first token is tried again, at most."
    )
    retry_budget: float = Field(
        0.2,
        ge=0,
        le=1,
        description="The share of requests that may be retries, so that an outage is not made worse; a few are always "
        "allowed.",
    )
    retry_after_seconds: float = Field(
        5.0, ge=0, le=300, description="How long a request waits for an upstream that says `Retry-After`, at most."
    )
    breaker_failures: Whole = Field(
        5, ge=1, le=1000, description="After how many failures in a row a provider is left alone for a while."
    )
    breaker_seconds: Seconds = Field(
        10.0, description="For how long, at first; each further failed try doubles it, up to 2 minutes."
    )
    max_connections: Whole = Field(
        1024, ge=1, le=65_535, description="How many connections may be open to one upstream address."
    )
    idle_seconds: Seconds = Field(60.0, description="How long an unused connection to an upstream is kept.")
    request_headers: Items = Field(
        (), description="Headers of clients that go on to upstreams, beside those that always do."
    )
    answer_headers: Items = Field(
        (), description="Headers of upstreams that go back to clients, beside those that always do."
    )
    cache_bytes: Whole = Field(
        67_108_864,
        ge=0,
        le=17_179_869_184,
        description="How much memory answers may take that are kept for models whose `routing` sets `cache_seconds`.",
    )
    discovery_seconds: Seconds = Field(
        60.0, description="How often each provider is asked which models it serves, with some jitter."
    )


class UsageSettings(_Section):
    """What is written down of requests for inference."""

    keep_days: Whole = Field(
        90,
        ge=1,
        le=36_500,
        description="How many days the usage of each request is kept. What was spent is kept for ever, by month.",
    )
    flush_milliseconds: Whole = Field(
        250,
        ge=10,
        le=60_000,
        description="How long usage is gathered before it is written; what was not, is lost if the server is killed.",
    )
    waiting_rows: Whole = Field(
        100_000,
        ge=1000,
        le=10_000_000,
        description="How many requests' usage waits in memory while the database cannot be written; more is lost.",
    )


class TelemetrySettings(_Section):
    """What the gateway tells of its requests: metrics, and traces where somebody wants them."""

    max_label_values: Whole = Field(
        1000,
        ge=10,
        le=100_000,
        description="How many workspaces, models and providers metrics tell apart; all further ones are `other`.",
    )
    otlp_endpoint: Annotated[str, AfterValidator(_collector)] | None = Field(
        None,
        description="Where traces of requests for inference are sent by OTLP over HTTP, as `http://127.0.0.1:4318`; "
        "needs the extra `steelyard[otel]`. Unset: there are none.",
    )
    otlp_headers: Annotated[SecretStr, AfterValidator(_pairs)] | None = Field(
        None, description="Headers for it, as `authorization=Bearer abc, x-team=search`."
    )
    sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="The share of requests that are traced, where the caller's `traceparent` does not decide.",
    )
    service_name: str = Field("steelyard", min_length=1, max_length=255, description="The name that traces come under.")


class OidcSettings(_Section):
    """An identity provider whose tokens are believed (OpenID Connect)."""

    issuer: Annotated[str, AfterValidator(_address)] | None = Field(
        None,
        max_length=2048,
        description="The issuer's URL, exactly as its tokens have it in `iss`, as "
        "`https://login.example.com/realms/ml`; its keys are found from there. It may be in a private network.",
    )
    client_id: str | None = Field(None, max_length=255, description="The client's id, for signing in.")
    audience: str | None = Field(
        None, max_length=255, description="Whom a token must be for (`aud`). Unset: the client's id."
    )
    groups_claim: str = Field(
        "groups",
        min_length=1,
        max_length=255,
        description="The claim that names the groups of a person; dots lead into it, as in `realm_access.roles`.",
    )
    scopes: Words = Field(
        ("openid", "email", "profile", "offline_access"), description="What is asked for when somebody signs in."
    )
    skew_seconds: Whole = Field(60, ge=0, le=600, description="How far clocks may be apart, in seconds.")
    refetch_seconds: Whole = Field(
        10, ge=1, le=3600, description="How long an issuer is left alone at least, when a key is sought that it lacks."
    )


class AuthSettings(_Section):
    """Who may do what."""

    enabled: bool = Field(
        False,
        description="Whether callers must say who they are. Off, everybody who reaches the server may do everything: "
        "it then listens on the loopback address only, unless `auth.insecure` is set.",
    )
    insecure: bool = Field(
        False, description="Listen on other than the loopback address although nobody must say who they are."
    )
    admin_email: str | None = Field(
        None, max_length=256, description="The e-mail address of somebody who is PlatformAdmin from the first start on."
    )
    allowed_hosts: Items = Field(
        (),
        description="The names by which browsers may call this server (`Host`), beside localhost, while nobody must "
        "say who they are.",
    )
    oidc: OidcSettings = OidcSettings()
    public_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None,
        max_length=2048,
        description="The URL that clients know this server by. Unset: what they write in `Host`, by http.",
    )
    workloads: Annotated[tuple[Annotated[str, AfterValidator(_workload)], ...], NoDecode, BeforeValidator(_items)] = (
        Field(
            (),
            description="Workloads that may trade their token for one of this server, each as issuer, subject pattern "
            "and principal with bars between them, and after one more bar the scopes that it gets at most, for example "
            "`https://token.actions.githubusercontent.com|repo:acme/models:*|ci-models|models:* files:*`.",
        )
    )
    proxy_addresses: Annotated[
        tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_items)
    ] = Field((), description="Networks of proxies that may say who a caller is (with `auth.proxy_secret`).")
    proxy_secret: Annotated[SecretStr, AfterValidator(_long)] | None = Field(
        None,
        description="What such a proxy sends in `X-Steelyard-Proxy-Secret`, to be believed: 16 characters or more.",
    )
    attempts_per_minute: Whole = Field(
        30, ge=1, le=100_000, description="How many failed sign-ins a minute an address, or a key's id, may have."
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
    data_dir: Annotated[Path, AfterValidator(_folder)] = Field(
        Path("steelyard-data"),
        description="The folder that holds all data of the server; made when missing. "
        "A relative path starts at the folder the server is started in.",
    )
    master_key: Annotated[SecretStr, AfterValidator(_key)] | None = Field(
        None,
        description="The key that seals stored secrets, 32 bytes in base64 (`openssl rand -base64 32`). "
        "Unset: a key file in the data folder, made at the first start.",
    )
    master_key_file: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None,
        description="A file with the master key instead, which only its owner can read. Lines below the first hold "
        "keys from before, which still open what they sealed.",
    )
    master_key_command: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_argv)] = Field(
        (),
        description="A command, run without a shell, that wraps the master key of the data folder: it is called with "
        "`wrap` or `unwrap` added, gets bytes in base64 on its standard input, and answers bytes in base64.",
    )
    master_key_previous: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_items)] = Field(
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
