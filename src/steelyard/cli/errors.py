"""What can go wrong in the command line, as one tree; each class knows the exit code that scripts see.

CliError              1   unexpected: the server failed, or what answers is no such server
├── UsageError        2   the command line itself is wrong, or a manifest
├── StartError        3   the server cannot start, or nobody answers at the address
├── CutError          1   an answer did not come, or broke off
├── NothingError      5   nothing has the name that was given
├── SignInError       7   nobody is signed in, and could be
└── RefusedError          by status: 4, 5, 6, 7 or 1
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "unexpected, or the server failed",
    2: "the command line is wrong",
    3: "the server cannot start, or cannot be reached",
    4: "the server refused the input (400, 413, 415, 422)",
    5: "not found (404)",
    6: "conflict (409, 412)",
    7: "not allowed (401, 403)",
    8: "drift: the server is not as the manifests say",
    9: "a file holds what is dangerous to load, or kept bytes are not what they were",
}
DRIFT = 8
DANGER = 9
_BY_STATUS = {400: 4, 413: 4, 415: 4, 422: 4, 404: 5, 409: 6, 412: 6, 401: 7, 403: 7}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text on one line, with control characters made visible: a record must not drive the terminal."""
    return _CONTROL.sub(lambda found: _visible(found[0]), text)


def _visible(character: str) -> str:
    return " " if character in "\r\n\t" else f"\\x{ord(character):02x}"


class CliError(Exception):
    """Something that ends the command, in one line for a person."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = printable(message)

    @property
    def status(self) -> int:
        """The exit code of this one error."""
        return self.exit_code


class UsageError(CliError):
    """Something that the caller has to say in another way."""

    exit_code = 2


class StartError(CliError):
    """There is no server to talk to."""

    exit_code = 3


class NothingError(CliError):
    """Nothing has the name that was given."""

    exit_code = 5


class SignInError(CliError):
    """The identity provider, or the server, does not take whoever is here."""

    exit_code = 7


class CutError(CliError):
    """The connection is lost; what it was about may be asked for again."""


class RefusedError(CliError):
    """The server's answer with a status of 400 or more. `operation` is the one of a batch that it is about."""

    def __init__(self, http_status: int, body: Any, headers: Mapping[str, str], *, about: str = "") -> None:
        super().__init__(about + _sentence(http_status, body, headers))
        self.http_status = http_status
        self._answer = (body, headers)
        self._about = about

    @property
    def code(self) -> str | None:
        """What the server calls the error, for programs."""
        body, _ = self._answer
        code = body.get("code") if isinstance(body, dict) else None
        return code if isinstance(code, str) else None

    @property
    def operation(self) -> int | None:
        """The number of the operation that a batch failed for."""
        body, _ = self._answer
        number = body.get("operation") if isinstance(body, dict) else None
        return number if isinstance(number, int) else None

    def about(self, text: str) -> "RefusedError":
        """The same, which says first what it is about."""
        return RefusedError(self.http_status, *self._answer, about=f"{text}: {self._about}")

    @property
    def status(self) -> int:
        """The exit code that stands for the HTTP status."""
        return _BY_STATUS.get(self.http_status, self.exit_code)


def _sentence(status: int, body: Any, headers: Mapping[str, str]) -> str:
    detail = body.get("detail") if isinstance(body, dict) else None
    code = body.get("code") if isinstance(body, dict) else None
    text = _detail(detail) or "the server gave no reason"
    label = f"{status} {code}" if isinstance(code, str) else str(status)
    text = f"{text} ({label})"
    if isinstance(body, dict) and isinstance(body.get("line"), int):
        text = f"line {body['line']}: {text}"
    if status == 412 and headers.get("etag"):
        text += f"; its ETag is now {headers['etag']}"
    if status == 401:
        text += "; sign in with `steelyard login`, or give a key as STEELYARD_API_KEY (or STEELYARD_TOKEN, or --token)"
    if status >= 500 and headers.get("x-request-id"):
        text += f"; the server's log has it as {headers['x-request-id']}"
    return text


def _detail(detail: Any) -> str:
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(_fault(item) for item in detail if isinstance(item, dict))
    return ""


def _fault(item: Mapping[str, Any]) -> str:
    location = item.get("loc")
    parts = [str(part) for part in location] if isinstance(location, list) else []
    # The first part says which half of the request it is; the options of a command have no halves.
    field = ".".join(parts[1:]) if len(parts) > 1 else "".join(parts)
    message = str(item.get("msg") or item.get("type") or "not accepted")
    return f"{field}: {message}" if field else message
