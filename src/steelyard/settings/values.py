"""What single settings are made of: how a text becomes a value, and which values are refused."""

import shlex
from base64 import b64decode, b64encode
from ipaddress import ip_network
from pathlib import Path
from re import fullmatch
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode


def not_bool(value: object) -> object:
    """Refuses truth values where a number stands, which are numbers to Python."""
    if isinstance(value, bool):
        # pydantic takes only ValueError for a wrong value; TypeError would be a fault of ours.
        raise ValueError("a truth value is not a number")  # noqa: TRY004
    return value


def lower(value: object) -> object:
    """Small letters."""
    return value.lower() if isinstance(value, str) else value


def folder(value: Path) -> Path:
    """The path of a folder or a file."""
    if value == Path() or "\0" in str(value):
        raise ValueError("not the path of a folder")
    # A shell expands `~` in a flag, nobody does in a TOML file.
    return value.expanduser()


def sealing_key(value: SecretStr) -> SecretStr:
    """32 bytes in base64, in one form of it."""
    # Both alphabets, and padding or none, are in use; one form goes on from here.
    text = value.get_secret_value().strip().replace("-", "+").replace("_", "/")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ValueError("not base64") from None
    if len(key) != 32:
        raise ValueError("not 32 bytes")
    return SecretStr(b64encode(key).decode())


def items(value: object) -> object:
    """A list, also where it was written as one text."""
    # A flag or a variable is one text; a TOML file has arrays.
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def argv(value: object) -> object:
    """A command and its arguments."""
    # A text is taken apart as a shell would, but no shell runs.
    return shlex.split(value) if isinstance(value, str) else value


def collector(value: str) -> str:
    """The address of a receiver of traces."""
    url = urlsplit(value)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise ValueError("not an http or https URL")
    return value


def pairs_of_headers(value: SecretStr) -> SecretStr:
    """Names and values of headers."""
    text = value.get_secret_value()
    found = [item.partition("=") for item in text.split(",")]
    if not (text.isascii() and text.isprintable() and all(name.strip() and after.strip() for name, _, after in found)):
        raise ValueError("not pairs of name and value")
    return value


def address(value: str) -> str:
    """The address of another server."""
    url = urlsplit(value)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or "@" in url.netloc:
        raise ValueError("not an http or https URL")
    return value


def workload(value: str) -> str:
    """An issuer, whose tokens of it, and who that is here."""
    parts = [part.strip() for part in value.split("|")]
    if len(parts) not in {3, 4} or not all(parts):
        raise ValueError("not issuer|subject pattern|principal, nor issuer|subject pattern|principal|scopes")
    address(parts[0])
    if parts[1][0] in "*?[":
        raise ValueError("the subject pattern must begin with what it is about")
    if not fullmatch(r"[A-Za-z0-9@._\-:+/]{1,256}", parts[2]) or parts[2].startswith("group:"):
        raise ValueError("the principal has characters that no name has")
    return "|".join(parts)


def long_enough(value: SecretStr) -> SecretStr:
    """A secret that nobody guesses."""
    if len(value.get_secret_value()) < 16:
        raise ValueError("shorter than 16 characters")
    return value


def network(value: str) -> str:
    """A network, in its usual form."""
    return str(ip_network(value, strict=False))


def named_folder(value: str) -> str:
    """A name and the path of a folder."""
    name, found, path = value.partition("=")
    if not found or not name.strip().isidentifier() or not Path(path.strip()).is_absolute():
        raise ValueError("not a name and the whole path of a folder, as models=/srv/models")
    return f"{name.strip()}={path.strip()}"


Whole = Annotated[int, BeforeValidator(not_bool)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(items)]
Items = Annotated[tuple[Annotated[str, BeforeValidator(lower)], ...], NoDecode, BeforeValidator(items)]
Seconds = Annotated[float, BeforeValidator(not_bool), Field(gt=0, le=86_400)]


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
