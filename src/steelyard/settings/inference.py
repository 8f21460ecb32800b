"""The settings of the gateway: how it asks upstreams, what it keeps of usage, and what it tells of its requests."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from steelyard.settings.values import Items, Seconds, Section, Whole, collector, pairs_of_headers


class GatewaySettings(Section):
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


class UsageSettings(Section):
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


class TelemetrySettings(Section):
    """What the gateway tells of its requests: metrics, and traces where somebody wants them."""

    max_label_values: Whole = Field(
        1000,
        ge=10,
        le=100_000,
        description="How many workspaces, models and providers metrics tell apart; all further ones are `other`.",
    )
    otlp_endpoint: Annotated[str, AfterValidator(collector)] | None = Field(
        None,
        description="Where traces of requests for inference are sent by OTLP over HTTP, as `http://127.0.0.1:4318`; "
        "needs the extra `steelyard[otel]`. Unset: there are none.",
    )
    otlp_headers: Annotated[SecretStr, AfterValidator(pairs_of_headers)] | None = Field(
        None, description="Headers for it, as `authorization=Bearer abc, x-team=search`."
    )
    sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="The share of requests that are traced, where the caller's `traceparent` does not decide.",
    )
    service_name: str = Field("steelyard", min_length=1, max_length=255, description="The name that traces come under.")
