"""Every setting of a server: one frozen tree, filled from flags, the environment, a TOML file and defaults.

A value is taken from the first of these that has it. `Settings(...)` by itself reads nothing outside its
arguments, so that a test or another program gets what it wrote; `load_settings` is the command line's way in.
"""

import difflib
import json
import re
import tomllib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from steelyard.errors import StartupError

PREFIX = "STEELYARD_"
DELIMITER = "__"
# Variables with our prefix that belong to the command line and not to a server.
CLIENT_VARIABLES = frozenset({"STEELYARD_CONFIG", "STEELYARD_URL", "STEELYARD_WORKSPACE", "STEELYARD_TOKEN"})
# Kubernetes writes these into every pod beside a service whose name starts with `steelyard`.
_SERVICE_LINK = re.compile(
    r"STEELYARD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_LINK_URL = re.compile(r"(tcp|udp|sctp)://\S+")


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


def _network(value: str) -> str:
    return str(ip_network(value, strict=False))


Whole = Annotated[int, BeforeValidator(_not_bool)]
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
    shutdown_seconds: Whole = Field(
        10, ge=0, le=3600, description="How long a stopping server waits, in seconds, for requests under way."
    )


class TrustRemoteCodeSettings(_Section):
    """Trust in the code of checkpoints."""

    enabled: bool = Field(True, description="Whether a model may be marked as one whose own code may be run.")


class ToolCallPluginSettings(_Section):
    """Plugins that find tool calls, which are code."""

    enabled: bool = Field(False, description="Whether a model's spec may name a tool call plugin.")


class ModelSettings(_Section):
    """What policy allows of models."""

    trust_remote_code: TrustRemoteCodeSettings = TrustRemoteCodeSettings()
    tool_call_plugin: ToolCallPluginSettings = ToolCallPluginSettings()


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
    history: HistorySettings = HistorySettings()
    store: StoreSettings = StoreSettings()
    outbound: OutboundSettings = OutboundSettings()
    webhooks: WebhookSettings = WebhookSettings()

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


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf of the tree: its dotted key, and what may stand there in words."""

    key: str
    field: FieldInfo
    kind: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.key.replace(".", DELIMITER).upper()

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.key == "master_key"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings, and for each key that is not at its default the words for where the value came from."""

    settings: Settings
    origins: Mapping[str, str]

    def value(self, key: str) -> Any:
        """The value at a dotted key."""
        value: Any = self.settings
        for part in key.split("."):
            value = getattr(value, part)
        return value


def all_settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Setting]:
    """Every leaf of the tree, in the order in which it is written."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from all_settings(field.annotation, f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, field, _kind(prefix + name, field))


def load_settings(flags: Mapping[str, Any], *, config: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a server; `flags` maps dotted keys to values, and None there means "not given".

    Without `config` the file that `STEELYARD_CONFIG` names is read, if it names one.
    Raises `StartupError` for a name that is unknown, a value that is wrong or a file that cannot be read.
    """
    return resolve_settings(flags, config=config, environ=environ).settings


def resolve_settings(flags: Mapping[str, Any], *, config: Path | None, environ: Mapping[str, str]) -> Resolved:
    """Like `load_settings`, and says where each value came from."""
    known = {setting.key: setting for setting in all_settings()}
    # In rising order: a later one replaces what an earlier one gave.
    found = [
        *_from_file(config or _named_file(environ), known),
        *_from_environ(environ, known),
        *_from_flags(flags, known),
    ]
    values = {item.key: item for item in found}
    try:
        settings = Settings(**_tree(values))
    except ValidationError as error:
        # `from None`: the error of pydantic may hold a secret.
        faults = dict.fromkeys(_fault(item["loc"], values, known) for item in error.errors())
        raise StartupError("; ".join(faults)) from None
    return Resolved(settings, {key: item.origin for key, item in values.items()})


@dataclass(frozen=True, slots=True)
class _Given:
    key: str
    value: Any
    origin: str


def _named_file(environ: Mapping[str, str]) -> Path | None:
    name = environ.get("STEELYARD_CONFIG")
    return Path(name) if name else None


def _from_file(file: Path | None, known: Mapping[str, Setting]) -> Iterator[_Given]:
    if file is None:
        return
    for key, value in _leaves(_read_toml(file), known):
        if key not in known:
            raise StartupError(f"{file}: there is no setting {key!r}{_nearest(key, known, '.')}")
        yield _Given(key, value, str(file))


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartupError(f"cannot read the settings file {file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise StartupError(f"the settings file {file} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StartupError(f"the settings file {file} is not TOML: {error}") from None


def _from_environ(environ: Mapping[str, str], known: Mapping[str, Setting]) -> Iterator[_Given]:
    variables = {setting.variable: setting for setting in known.values()}
    ours: dict[str, str | None] = {}
    for name, value in environ.items():
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in CLIENT_VARIABLES or _from_kubernetes(upper, value):
            continue
        if upper not in variables:
            hint = _nearest(upper, [*variables, *sorted(CLIENT_VARIABLES)], DELIMITER)
            raise StartupError(f"the environment variable {name} names no setting{hint}")
        ours[name.lower()] = value
    source = EnvSettingsSource(Settings)
    # The library reads `os.environ`; ours is the one that was passed in.
    source.env_vars = ours
    for key, value in _leaves(source(), known):
        yield _Given(key, value, known[key].variable)


def _from_kubernetes(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and _SERVICE_LINK_URL.fullmatch(value) is not None


def _from_flags(flags: Mapping[str, Any], known: Mapping[str, Setting]) -> Iterator[_Given]:
    for key, value in flags.items():
        if key not in known:
            raise StartupError(f"the command line: there is no setting {key!r}{_nearest(key, known, '.')}")
        if value is not None:
            yield _Given(key, value, "the command line")


def _leaves(tree: Mapping[str, Any], known: Mapping[str, Setting], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        key = prefix + name
        section = any(other.startswith(f"{key}.") for other in known)
        if isinstance(value, Mapping) and (value or section):
            yield from _leaves(value, known, f"{key}.")
        else:
            yield key, value


def _tree(values: Mapping[str, _Given]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, item in values.items():
        *parents, name = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = item.value
    return tree


def _nearest(name: str, valid: Iterable[str], separator: str) -> str:
    names = list(valid)
    inside = [other for other in names if other.startswith(name + separator)]
    if inside:
        return f"; it is a group: {', '.join(inside)}"
    # The prefix, which every variable has, would make all of them look alike.
    bare = {other.removeprefix(PREFIX): other for other in names}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    return f"; did you mean {bare[close[0]]}?" if close else "; `steelyard settings docs` lists them all"


def _fault(location: tuple[int | str, ...], values: Mapping[str, _Given], known: Mapping[str, Setting]) -> str:
    # A union adds the name of its branch to the location, which is no part of the key.
    parts = [str(part) for part in location]
    key = next(key for end in range(len(parts), 0, -1) if (key := ".".join(parts[:end])) in known)
    setting, given = known[key], values[key]
    value = "" if setting.secret else f", not {json.dumps(given.value, default=str, ensure_ascii=False)}"
    return f"{key} must be {setting.kind}{value} (from {given.origin})"


_KINDS = {
    "outbound.schemes": "a list of https, http",
    "outbound.allowed_hosts": "a list of host names",
    "outbound.allowed_networks": "a list of networks, as 10.0.0.0/8",
    "outbound.ca_bundle": "the path of a file",
}


def _kind(key: str, field: FieldInfo) -> str:
    if key == "master_key":
        return "32 bytes in base64"
    if key == "data_dir":
        return "the path of a folder"
    if key in _KINDS:
        return _KINDS[key]
    bounds = {type(item).__name__: item for item in field.metadata}
    if "Ge" in bounds:
        return f"a whole number from {bounds['Ge'].ge} to {bounds['Le'].le}"
    if field.annotation is bool:
        return "true or false"
    choices = getattr(field.annotation, "__args__", None)
    return "one of " + ", ".join(choices) if choices else "a non-empty text"
