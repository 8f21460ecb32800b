"""Every error that Steelyard raises on purpose, drawn as one tree.

    SteelyardError                     code                  status
    ├── InvalidInput                   invalid_input         422   fields that are wrong, each named
    │   ├── BrokenJson                 broken_json           422   the body is not the JSON that we take
    │   └── InvalidParameters          invalid_parameters    422   path, query or header values that are wrong
    ├── BadFilter                      bad_filter            400   a filter that cannot be understood
    ├── BadCursor                      bad_cursor            400   a cursor that we did not make, or for another list
    ├── BadReference                   bad_reference         400   a reference to something that must exist and does not
    ├── Forbidden                      forbidden             403   policy says no
    │   └── OutboundRefused            outbound_refused      403   the server may not send requests to that address
    ├── NotFound                       not_found             404
    ├── MethodNotAllowed               method_not_allowed    405
    ├── Conflict                       conflict              409
    │   ├── AlreadyExists              already_exists        409
    │   ├── Protected                  protected             409   a built-in record
    │   ├── Pinned                     pinned                409   a write through an alias of a past revision
    │   ├── Frozen                     frozen                409   a frozen model's spec, fileset or trust
    │   └── StillReferenced            still_referenced      409   `protect_references` is on
    ├── PreconditionFailed             precondition_failed   412   If-Match or If-None-Match did not hold
    ├── TooLarge                       too_large             413   a body over its limit
    ├── UnsupportedMediaType           unsupported_media_type 415
    ├── StorageFull                    storage_full          507   the disk is full: nothing was changed
    ├── OutboundFailed                 outbound_failed       502   another server did not answer as one does
    ├── Unavailable                    unavailable           503   stopping, or the database does not answer
    ├── UnreadableSecret               unreadable_secret     500   sealed with another master key, or damaged
    └── StartupError                   startup_error         -     the server cannot start; the message says why

Errors are raised where they are known. `api/errors.py` maps them to HTTP once, by class: the status and the code
stand here, so that no other place repeats them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong value: where it stands, what kind of fault it is, and how to mend it.

    `location` starts with `body`, `query`, `path` or `header`; `value` is echoed only where `show_value` says that
    it cannot be a secret.
    """

    location: tuple[str | int, ...]
    type: str
    message: str
    value: Any = None
    show_value: bool = False


class SteelyardError(Exception):
    """Something that a caller did, or that the world did to us, which has a name."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None, **details: Any) -> None:
        """`details` are answered beside `detail` and `code`; `headers` go out with the answer."""
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})
        self.details = details


class InvalidInput(SteelyardError):
    """Values that break the rules of their fields; `faults` names each of them."""

    code = "invalid_input"
    status = 422

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, f.location))}: {f.message}" for f in faults))
        self.faults = tuple(faults)

    @classmethod
    def of(cls, location: tuple[str | int, ...], type: str, message: str) -> Self:
        """An error with a single fault, whose value is not echoed."""
        return cls([Fault(location, type, message)])


class BrokenJson(InvalidInput):
    code = "broken_json"


class InvalidParameters(InvalidInput):
    code = "invalid_parameters"


class BadFilter(SteelyardError):
    code = "bad_filter"
    status = 400


class BadCursor(SteelyardError):
    code = "bad_cursor"
    status = 400


class BadReference(SteelyardError):
    code = "bad_reference"
    status = 400


class Forbidden(SteelyardError):
    code = "forbidden"
    status = 403


class OutboundRefused(Forbidden):
    code = "outbound_refused"


class NotFound(SteelyardError):
    code = "not_found"
    status = 404


class MethodNotAllowed(SteelyardError):
    code = "method_not_allowed"
    status = 405


class Conflict(SteelyardError):
    code = "conflict"
    status = 409


class AlreadyExists(Conflict):
    code = "already_exists"


class Protected(Conflict):
    code = "protected"


class Pinned(Conflict):
    code = "pinned"


class Frozen(Conflict):
    code = "frozen"


class StillReferenced(Conflict):
    code = "still_referenced"


class PreconditionFailed(SteelyardError):
    code = "precondition_failed"
    status = 412


class TooLarge(SteelyardError):
    code = "too_large"
    status = 413


class UnsupportedMediaType(SteelyardError):
    code = "unsupported_media_type"
    status = 415


class OutboundFailed(SteelyardError):
    code = "outbound_failed"
    status = 502


class Unavailable(SteelyardError):
    code = "unavailable"
    status = 503


class StorageFull(SteelyardError):
    code = "storage_full"
    status = 507


class UnreadableSecret(SteelyardError):
    """A sealed secret that the present master key does not open."""

    code = "unreadable_secret"
    status = 500


class StartupError(SteelyardError):
    code = "startup_error"
