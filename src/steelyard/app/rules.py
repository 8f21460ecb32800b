"""What the settings say, as the values that each part of the server takes."""

from ipaddress import ip_network
from pathlib import Path

from steelyard.auth.master_keys import KeySources
from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.protocol import BlobStore
from steelyard.gateway.telemetry import Telemetry, open_telemetry
from steelyard.outbound.policy import OutboundPolicy
from steelyard.records.deliveries import DeliveryRules
from steelyard.records.file_policy import FilePolicy
from steelyard.records.policy import Policy
from steelyard.records.trust import AllowLists
from steelyard.settings import Settings
from steelyard.sources.rules import SourceRules
from steelyard.store.data_folder import DataFolder


def blobs_of(settings: Settings, folder: DataFolder) -> BlobStore:
    """Where the settings say that the bytes of files are kept. Raises StartupError."""
    given = settings.files.object_store
    if given.url is None:
        return LocalBlobs(folder.path / "blobs")
    from steelyard.blobs.objects import open_objects  # noqa: PLC0415 - a server that needs it not starts without it

    secret = given.secret_access_key.get_secret_value() if given.secret_access_key else None
    options = {
        "endpoint": given.endpoint,
        "region": given.region,
        "access_key_id": given.access_key_id,
        "secret_access_key": secret,
    }
    known = {key: value for key, value in options.items() if value is not None}
    return open_objects(given.url, known, presigned=given.downloads == "presigned")


def keys_of(settings: Settings, folder: DataFolder) -> KeySources:
    """What the settings say about the master key."""
    return KeySources(
        folder=folder.path,
        key=settings.master_key.get_secret_value() if settings.master_key else None,
        file=settings.master_key_file,
        command=settings.master_key_command,
        previous=[key.get_secret_value() for key in settings.master_key_previous],
    )


def telemetry_of(settings: Settings) -> Telemetry:
    """What the settings say about traces. Raises StartupError."""
    given = settings.telemetry
    return open_telemetry(
        given.otlp_endpoint,
        given.otlp_headers.get_secret_value() if given.otlp_headers else None,
        sample_ratio=given.sample_ratio,
        service_name=given.service_name,
    )


def policy_of(settings: Settings) -> Policy:
    """What the settings say about records."""
    return Policy(
        unknown_fields=settings.unknown_fields,
        strict_references=settings.strict_references,
        protect_references=settings.protect_references,
        allow_trust_remote_code=settings.models.trust_remote_code.enabled,
        trusted_sources=AllowLists(
            huggingface=settings.models.trust_remote_code.hf_allow_list,
            ngc=settings.models.trust_remote_code.ngc_allow_list,
        ),
        allow_tool_call_plugin=settings.models.tool_call_plugin.enabled,
        allow_secret_access=settings.secrets.access == "open",
        max_record_bytes=settings.limits.record_body_bytes,
        max_depth=settings.limits.json_depth,
        files=FilePolicy(
            pickles=settings.files.pickles,
            untrusted_code=settings.files.untrusted_code,
            max_bytes=settings.files.max_bytes,
            upload_seconds=settings.files.upload_hours * 3600,
            keep_replaced_seconds=settings.files.keep_replaced_days * 24 * 3600,
            presigned=settings.files.object_store.downloads == "presigned",
        ),
    )


def outbound_of(settings: Settings) -> OutboundPolicy:
    """What the settings say about requests to other servers."""
    outbound = settings.outbound
    return OutboundPolicy(
        schemes=frozenset(outbound.schemes),
        allow_private=outbound.allow_private,
        allowed_hosts=frozenset(outbound.allowed_hosts),
        allowed_networks=tuple(map(ip_network, outbound.allowed_networks)),
    )


def sources_of(settings: Settings) -> SourceRules:
    """What the settings say about the places that files are taken from."""
    named = (folder.partition("=") for folder in settings.files.folders)
    return SourceRules(
        hosts=frozenset(settings.files.source_hosts), folders={name: Path(path) for name, _, path in named}
    )


def deliveries_of(settings: Settings) -> DeliveryRules:
    """What the settings say about deliveries to webhooks."""
    given = settings.webhooks
    return DeliveryRules(
        timeout=given.timeout_seconds,
        concurrency=given.concurrency,
        backoff=given.backoff_seconds,
        backoff_max=given.backoff_max_seconds,
        disable_after_failures=given.disable_after_failures,
        disable_after=given.disable_after_hours * 3600,
        rotation=given.rotation_hours * 3600,
        kept=given.kept_deliveries,
    )
