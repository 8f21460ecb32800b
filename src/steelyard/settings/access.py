"""The settings of who may come in: keys, an identity provider, workloads, proxies."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from steelyard.settings.values import Items, Section, Whole, Words, address, items, long_enough, network, workload


class OidcSettings(Section):
    """An identity provider whose tokens are believed (OpenID Connect)."""

    issuer: Annotated[str, AfterValidator(address)] | None = Field(
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


class AuthSettings(Section):
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
    public_url: Annotated[str, AfterValidator(address)] | None = Field(
        None,
        max_length=2048,
        description="The URL that clients know this server by. Unset: what they write in `Host`, by http.",
    )
    workloads: Annotated[tuple[Annotated[str, AfterValidator(workload)], ...], NoDecode, BeforeValidator(items)] = (
        Field(
            (),
            description="Workloads that may trade their token for one of this server, each as issuer, subject pattern "
            "and principal with bars between them, and after one more bar the scopes that it gets at most, for example "
            "`https://token.actions.githubusercontent.com|repo:acme/models:*|ci-models|models:* files:*`.",
        )
    )
    proxy_addresses: Annotated[
        tuple[Annotated[str, AfterValidator(network)], ...], NoDecode, BeforeValidator(items)
    ] = Field((), description="Networks of proxies that may say who a caller is (with `auth.proxy_secret`).")
    proxy_secret: Annotated[SecretStr, AfterValidator(long_enough)] | None = Field(
        None,
        description="What such a proxy sends in `X-Steelyard-Proxy-Secret`, to be believed: 16 characters or more.",
    )
    attempts_per_minute: Whole = Field(
        30, ge=1, le=100_000, description="How many failed sign-ins a minute an address, or a key's id, may have."
    )
