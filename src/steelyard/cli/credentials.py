"""Tokens that `steelyard login` got, one for each server, in a file that only its owner can read."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from steelyard.cli.errors import CliError, UsageError


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What is kept of a sign-in. `kind` says which token of the provider's the server takes; `workload` is the file
    with the token that was traded.
    """

    token: str
    expires_at: float | None = None
    kind: str = "access_token"
    token_endpoint: str | None = None
    client_id: str | None = None
    scope: str | None = None
    refresh_token: str | None = None
    workload: str | None = None
    audience: str | None = None


class Credentials:
    """The file, by default `~/.config/steelyard/credentials.json`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        base = environ.get("XDG_CONFIG_HOME") or ""
        # The specification has paths that are not absolute ignored.
        folder = Path(base) if Path(base).is_absolute() else Path(environ.get("HOME") or Path.home()) / ".config"
        self.file = folder / "steelyard" / "credentials.json"

    def get(self, url: str) -> SignedIn | None:
        """The sign-in at a server. Raises `CliError` for a file that cannot be read."""
        found = self._read().get(_server(url))
        if not isinstance(found, dict) or not isinstance(found.get("token"), str):
            return None
        names = {one.name for one in fields(SignedIn)}
        return SignedIn(**{name: value for name, value in found.items() if name in names})

    def put(self, url: str, signed_in: SignedIn) -> None:
        """Keeps a sign-in; call it while the file is `locked`."""
        self._write({**self._read(), _server(url): asdict(signed_in)})

    def remove(self, url: str) -> bool:
        """Forgets a sign-in; whether there was one. Call it while the file is `locked`."""
        found = self._read()
        if found.pop(_server(url), None) is None:
            return False
        self._write(found)
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time renew a token: a refresh token is often good for one use."""
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise CliError(f"cannot write into {self.file.parent}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, Any]:
        try:
            with self.file.open("rb") as stream:
                if os.fstat(stream.fileno()).st_mode & 0o077:
                    raise UsageError(f"{self.file} can be read by others; run: chmod 600 {self.file}")
                found = json.load(stream)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise CliError(f"cannot read {self.file}: {error.strerror}") from None
        except ValueError:
            raise CliError(f"{self.file} is damaged; remove it, and sign in again") from None
        servers = found.get("servers") if isinstance(found, dict) else None
        return servers if isinstance(servers, dict) else {}

    def _write(self, servers: Mapping[str, Any]) -> None:
        unfinished = self.file.with_suffix(".unfinished")
        try:
            unfinished.unlink(missing_ok=True)
            descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                json.dump({"servers": servers}, stream, indent=2)
            unfinished.replace(self.file)
        except OSError as error:
            raise CliError(f"cannot write {self.file}: {error.strerror}") from None


def _server(url: str) -> str:
    """A server as the file names it: without what is secret in its URL, and in one spelling."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path.rstrip('/')}"
