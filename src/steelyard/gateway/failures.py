"""What can go wrong with an attempt to have a request answered, in words that are the same everywhere."""

from typing import Literal

Failure = Literal[
    "connect",  # no connection: refused, or no way to the host
    "dns",  # the host's name is not known
    "tls",  # the certificate does not verify, or TLS failed
    "refused",  # the outbound policy does not allow the address
    "disconnect",  # the connection ended before anything of an answer came
    "cut",  # it ended, or fell silent, in the middle of the answer
    "timeout",  # no answer, or no further part of it, in time
    "protocol",  # what came is not HTTP
    "bad_answer",  # what came is HTTP, but not what was asked for
    "too_large",  # more than an answer may have
    "cancelled",  # the client has left
]

SENTENCES: dict[Failure, str] = {
    "connect": "the upstream refuses the connection, or cannot be reached",
    "dns": "the name of the upstream's host is not known",
    "tls": "the upstream's certificate does not verify, or TLS failed",
    "refused": "the address of the upstream is not one that this server sends to (settings outbound.*)",
    "disconnect": "the upstream ended the connection before it answered",
    "cut": "the upstream broke off in the middle of its answer",
    "timeout": "the upstream did not answer in time",
    "protocol": "the upstream's answer is not HTTP that can be read",
    "bad_answer": "the upstream's answer is not of the form that was asked for",
    "too_large": "the upstream's answer is larger than setting gateway.answer_bytes allows",
    "cancelled": "the client has left",
}


class UpstreamFailed(Exception):
    """An exchange with an upstream has failed."""

    def __init__(self, reason: Failure, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
