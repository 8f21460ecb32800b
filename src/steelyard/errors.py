"""Every error that Steelyard raises on purpose, drawn as one tree.

    SteelyardError                     code                  status
    ├── InvalidInput                   invalid_input         422   fields that are wrong, each named
    │   ├── BrokenJson                 broken_json           422   the body is not the JSON that we take
    │   └── InvalidParameters          invalid_parameters    422   path, query or header values that are wrong
    ├── BadCheckpoint                  bad_checkpoint        422   files of a model that are not what they claim to be
    ├── BadPath                        bad_path              400   a path that no file of a fileset can have
    ├── DigestMismatch                 digest_mismatch       422   bytes that are not those that were announced
    │   └── ChecksumMismatch           checksum_mismatch     460   a piece of a resumable upload; send it again
    ├── BadFilter                      bad_filter            400   a filter that cannot be understood
    ├── BadCursor                      bad_cursor            400   a cursor that we did not make, or for another list
    ├── BadCall                        bad_call              400   a request for inference that names no model
    ├── BadReference                   bad_reference         400   a reference to something that must exist and does not
    ├── BadTokenRequest                bad_token_request     400   a request for a token that is not granted (RFC 6749)
    ├── Unauthorized                   unauthorized          401   nobody has said who they are, or nobody believes it
    ├── Forbidden                      forbidden             403   policy says no
    │   ├── FileRefused                file_refused          403   a file that may not come in, or leave, by policy
    │   └── OutboundRefused            outbound_refused      403   the server may not send requests to that address
    ├── NotFound                       not_found             404
    │   └── NotServed                  model_not_served      404   a model that is here, and that nobody serves
    ├── Gone                           gone                  410   what was there and is kept no longer
    ├── MethodNotAllowed               method_not_allowed    405
    ├── Conflict                       conflict              409
    │   ├── AlreadyExists              already_exists        409
    │   ├── MissingBytes               missing_bytes         409   a digest whose bytes were not sent yet
    │   ├── UploadConflict             upload_conflict       409   an upload that is elsewhere than the caller thinks
    │   ├── Protected                  protected             409   a built-in record
    │   ├── LastAdministrator          last_administrator    409   somebody must be able to give roles
    │   ├── Pinned                     pinned                409   a write through an alias of a past revision
    │   ├── Frozen                     frozen                409   a frozen model's spec, fileset or trust
    │   └── StillReferenced            still_referenced      409   `protect_references` is on
    ├── PreconditionFailed             precondition_failed   412   If-Match or If-None-Match did not hold
    ├── RangeNotSatisfiable            range_not_satisfiable 416   a range that begins past the end
    ├── TooLarge                       too_large             413   a body over its limit
    ├── UnsupportedMediaType           unsupported_media_type 415
    ├── RateLimited                    rate_limited          429   a limit is reached; it says for how long
    │   └── BudgetExceeded             budget_exceeded       429   a budget is spent, or its rest is held by others
    ├── StorageFull                    storage_full          507   the disk is full: nothing was changed
    ├── SecretMissing                  secret_missing        424   a provider's key is not here, or cannot be opened
    ├── OutboundFailed                 outbound_failed       502   another server did not answer as one does
    │   ├── UpstreamFailure            upstream_failed       502   who serves a model did not, or with an error
    │   └── UpstreamTimeout            upstream_timeout      504   who serves a model did not answer in time
    │   ├── BadUpstreamAnswer          bad_upstream_answer   502   an answer that is none of its dialect
    │   └── UpstreamStreamError        upstream_stream_error 502   an error that an upstream told of in its stream
    ├── CorruptBytes                   corrupt_bytes         500   kept bytes that are no longer what their digest says
    ├── Unavailable                    unavailable           503   stopping, or the database does not answer
    │   ├── NoProvider                 no_provider           503   all who serve a model are left alone for a while
    │   └── Overloaded                 overloaded            503   all who serve a model are busy, and many wait
    ├── NotInspected                   not_inspected         503   files that are changed faster than they can be read
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


class BadCheckpoint(SteelyardError):
    code = "bad_checkpoint"
    status = 422


class BadPath(SteelyardError):
    code = "bad_path"
    status = 400


class DigestMismatch(SteelyardError):
    code = "digest_mismatch"
    status = 422


class ChecksumMismatch(DigestMismatch):
    """The status is the tus protocol's own."""

    code = "checksum_mismatch"
    status = 460


class BadFilter(SteelyardError):
    code = "bad_filter"
    status = 400


class BadCursor(SteelyardError):
    code = "bad_cursor"
    status = 400


class BadCall(SteelyardError):
    code = "bad_call"
    status = 400


class BadReference(SteelyardError):
    code = "bad_reference"
    status = 400


class BadTokenRequest(SteelyardError):
    """`error` is what OAuth calls it."""

    code = "bad_token_request"
    status = 400

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class Unauthorized(SteelyardError):
    code = "unauthorized"
    status = 401


class Forbidden(SteelyardError):
    code = "forbidden"
    status = 403


class FileRefused(Forbidden):
    code = "file_refused"


class OutboundRefused(Forbidden):
    code = "outbound_refused"


class NotFound(SteelyardError):
    code = "not_found"
    status = 404


class NotServed(NotFound):
    code = "model_not_served"


class Gone(SteelyardError):
    code = "gone"
    status = 410


class MethodNotAllowed(SteelyardError):
    code = "method_not_allowed"
    status = 405


class Conflict(SteelyardError):
    code = "conflict"
    status = 409


class AlreadyExists(Conflict):
    code = "already_exists"


class MissingBytes(Conflict):
    code = "missing_bytes"


class UploadConflict(Conflict):
    code = "upload_conflict"


class Protected(Conflict):
    code = "protected"


class LastAdministrator(Conflict):
    code = "last_administrator"


class Pinned(Conflict):
    code = "pinned"


class Frozen(Conflict):
    code = "frozen"


class StillReferenced(Conflict):
    code = "still_referenced"


class PreconditionFailed(SteelyardError):
    code = "precondition_failed"
    status = 412


class RangeNotSatisfiable(SteelyardError):
    code = "range_not_satisfiable"
    status = 416


class TooLarge(SteelyardError):
    code = "too_large"
    status = 413


class UnsupportedMediaType(SteelyardError):
    code = "unsupported_media_type"
    status = 415


class RateLimited(SteelyardError):
    code = "rate_limited"
    status = 429


class BudgetExceeded(RateLimited):
    code = "budget_exceeded"


class OutboundFailed(SteelyardError):
    code = "outbound_failed"
    status = 502


class BadUpstreamAnswer(OutboundFailed):
    """An answer of a model's server that would be wrong if it were passed on."""

    code = "bad_upstream_answer"


class UpstreamStreamError(OutboundFailed):
    """What an upstream said in its stream instead of going on; `upstream_status` is the status that it stands for."""

    code = "upstream_stream_error"

    def __init__(self, upstream_status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.upstream_status = upstream_status
        self.type = type


class UpstreamFailure(OutboundFailed):
    code = "upstream_failed"


class UpstreamTimeout(OutboundFailed):
    code = "upstream_timeout"
    status = 504


class SecretMissing(SteelyardError):
    code = "secret_missing"
    status = 424


class CorruptBytes(SteelyardError):
    """Bytes that are never served; `steelyard fsck` names them."""

    code = "corrupt_bytes"
    status = 500


class Unavailable(SteelyardError):
    code = "unavailable"
    status = 503


class NoProvider(Unavailable):
    code = "no_provider"


class Overloaded(Unavailable):
    code = "overloaded"


class NotInspected(SteelyardError):
    """A write needs what has not been read in `fileset` yet: it is read, and the write done again."""

    code = "not_inspected"
    status = 503

    def __init__(self, fileset: Any) -> None:
        super().__init__("the files are changed faster than they can be read; try again")
        self.fileset = fileset


class StorageFull(SteelyardError):
    code = "storage_full"
    status = 507


class UnreadableSecret(SteelyardError):
    """A sealed secret that the present master key does not open."""

    code = "unreadable_secret"
    status = 500


class StartupError(SteelyardError):
    code = "startup_error"
