"""A command that wraps the master key with a key that never leaves its home: a cloud's KMS, a vault, a hardware module.

It is called as `COMMAND wrap` and `COMMAND unwrap`, gets bytes in base64 on its standard input, and answers bytes in
base64 on its standard output. It runs without a shell, once when the server starts and once for each new master key.
"""

import base64
import binascii
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from typing import Literal

from steelyard.errors import StartupError

_SECONDS = 30
_SHOWN = 500
# What could be a key in base64 or hexadecimal digits, whoever wrote it into a message.
_KEY_LIKE = re.compile(r"[A-Za-z0-9+/]{43,}={0,2}|[A-Za-z0-9_-]{43,}={0,2}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class KeyCommand:
    """Wraps and unwraps keys by calling a command."""

    def __init__(self, command: Sequence[str], seconds: float = _SECONDS) -> None:
        self._command = list(command)
        self._seconds = seconds

    def wrap(self, key: bytes) -> bytes:
        """`key` as it can be kept anywhere. Raises StartupError."""
        return self._call("wrap", key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key that was wrapped. Raises StartupError."""
        return self._call("unwrap", wrapped)

    def _call(self, verb: Literal["wrap", "unwrap"], data: bytes) -> bytes:
        name = f"master_key_command ({self._command[0]} … {verb})"
        try:
            # A session of its own, so that what it started ends with it when its time is over.
            process = subprocess.Popen(  # noqa: S603 - the operator names the command
                [*self._command, verb],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise StartupError(f"{name} cannot be run: {getattr(error, 'strerror', None) or 'not a command'}") from None
        with process:
            try:
                out, said = process.communicate(base64.b64encode(data) + b"\n", self._seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise StartupError(f"{name} did not answer within {self._seconds:g} s") from None
        if process.returncode:
            raise StartupError(f"{name} failed with exit code {process.returncode}{_told(said)}")
        try:
            answer = base64.b64decode(b"".join(out.split()), validate=True)
        except (binascii.Error, ValueError):
            answer = b""
        if not answer:
            raise StartupError(f"{name} did not answer with base64{_told(said)}")
        return answer


def _told(said: bytes) -> str:
    text = _KEY_LIKE.sub("…", _UNPRINTABLE.sub(" ", said[: 20 * _SHOWN].decode("utf-8", "replace"))).strip()
    if not text:
        return ""
    return f": {text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}"
