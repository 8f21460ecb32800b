"""Master keys: the one that seals, and those from before that still open. Where they come from, and how one follows
another while the server runs.
"""

import base64
import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from steelyard.auth.key_command import KeyCommand
from steelyard.auth.key_files import (
    KEY_BYTES,
    UNFINISHED,
    decode_key,
    read_keys,
    read_private,
    sync_folder,
    write_private,
)
from steelyard.errors import Conflict, StartupError

LOCAL, WRAPPED = "master.key", "master.key.wrapped"
"""The files of the data folder that hold a master key as it is, and as a command wrapped it."""
_ID = "[0-9a-f]" * 8


class MasterKey:
    """A key of 32 bytes that seals data keys. It shows its id and nothing else."""

    __slots__ = ("cipher", "id")

    def __init__(self, key: bytes) -> None:
        self.cipher = AESGCM(key)
        self.id = hashlib.sha256(b"steelyard key id" + key).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"MasterKey({self.id})"


class MasterKeys(Protocol):
    """What the vault needs of master keys."""

    @property
    def present(self) -> MasterKey:
        """The one that seals."""

    @property
    def previous(self) -> frozenset[str]:
        """The ids of those that only open."""

    @property
    def unfinished(self) -> bool:
        """Whether a server was ended before everything was sealed under a new key of its own."""

    def find(self, id: str) -> MasterKey | None:
        """The key of that id, the present one or one from before."""

    def renew(self) -> None:
        """Another key seals from now on; the one from before still opens. Raises Conflict, StartupError."""

    def retire(self, in_use: Collection[str]) -> None:
        """Removes what the data folder still holds of keys from before, save those whose ids are in use."""


class KeyRing:
    """Master keys that are given from outside."""

    def __init__(self, present: bytes, previous: Iterable[bytes] = ()) -> None:
        self._present = MasterKey(present)
        self._keys = {key.id: key for key in (*map(MasterKey, previous), self._present)}
        self._spare: dict[Path, str] = {}

    @property
    def present(self) -> MasterKey:
        """The one that seals."""
        return self._present

    @property
    def previous(self) -> frozenset[str]:
        """The ids of those that only open."""
        return frozenset(self._keys) - {self._present.id}

    @property
    def unfinished(self) -> bool:
        """Whether a server was ended before everything was sealed under a new key of its own."""
        return any(file.name not in {LOCAL, WRAPPED} for file in self._spare)

    def find(self, id: str) -> MasterKey | None:
        """The key of that id."""
        return self._keys.get(id)

    def renew(self) -> None:
        """Raises Conflict: whoever gave the key has to give another one."""
        raise Conflict(
            "the master key is given by the setting master_key: set a new one, name the old one in "
            "master_key_previous, and start the server again"
        )

    def retire(self, in_use: Collection[str]) -> None:
        """Removes what the data folder still holds of keys from before, save those whose ids are in use."""
        kept = {*in_use, self._present.id}
        gone = [file for file, id in self._spare.items() if id not in kept]
        for file in gone:
            file.unlink(missing_ok=True)
            del self._spare[file]
        if gone:
            sync_folder(gone[0].parent)

    def spare(self, file: Path, key: bytes) -> None:
        """Opens with a key from before, too, which a file of the data folder holds until nothing needs it."""
        self._spare[file] = self._add(key).id

    def _add(self, key: bytes) -> MasterKey:
        added = MasterKey(key)
        # A new dictionary: other threads read the one from before.
        self._keys = {added.id: added, **self._keys}
        return added

    def _take(self, key: bytes) -> None:
        self._present = self._add(key)


class FileKeys(KeyRing):
    """Master keys in a file of the operator's: the present one first, those from before below."""

    def __init__(self, file: Path, previous: Iterable[bytes] = ()) -> None:
        self._file = file
        present, *older = read_keys(file, "master_key_file")
        super().__init__(present, (*older, *previous))

    def renew(self) -> None:
        """Takes the key that now stands first in the file. Raises Conflict, StartupError."""
        keys = read_keys(self._file, "master_key_file")
        ids = [MasterKey(key).id for key in keys]
        if ids[0] == self._present.id:
            raise Conflict("write a new master key into the first line of master_key_file first, above the old one")
        if self._present.id not in ids:
            raise Conflict("keep the old master key in master_key_file, below the new one: what it sealed needs it")
        for key in keys[1:]:
            self._add(key)
        self._take(keys[0])


class StoredKeys(KeyRing):
    """Master keys that the server makes, and keeps in the data folder: as they are, or wrapped by a command.

    Each key from before stands in a file of its own, which is written before the new one takes its place, and removed
    when nothing is sealed under it any more. Whenever the server is killed, the files open all that is sealed.
    """

    def __init__(self, folder: Path, command: KeyCommand | None, previous: Iterable[bytes] = ()) -> None:
        self.command = command
        self._file = folder / (LOCAL if command is None else WRAPPED)
        if self._file.exists():
            present = _read(self._file, self.command)
        else:
            present = os.urandom(KEY_BYTES)
            write_private(self._file, self._text(present))
        super().__init__(present, previous)
        for file in sorted(folder.glob(f"{self._file.name}.{_ID}")):
            if file.suffix.removeprefix(".") == self._present.id:
                file.unlink()  # the server was killed before a new key took the place of this one
            else:
                self.spare(file, _read(file, self.command))

    def renew(self) -> None:
        """Makes a new key. Raises StartupError where a command cannot wrap it."""
        old, key = _read(self._file, self.command), os.urandom(KEY_BYTES)
        text = self._text(key)
        kept = self._file.with_name(f"{self._file.name}.{MasterKey(old).id}")
        write_private(kept, self._file.read_text().strip())
        write_private(self._file, text)
        self.spare(kept, old)
        self._take(key)

    def _text(self, key: bytes) -> str:
        if self.command is None:
            return base64.b64encode(key).decode()
        wrapped = self.command.wrap(key)
        if self.command.unwrap(wrapped) != key:
            # Better known before anything is sealed than at the next start.
            raise StartupError("master_key_command: unwrap does not answer what wrap was given")
        return f"{MasterKey(key).id} {base64.b64encode(wrapped).decode()}"


@dataclass(frozen=True, slots=True)
class KeySources:
    """Where the master keys come from: a key (base64) or a file, else the data folder, where `command` may wrap it.

    `previous` holds keys in base64, and paths of files with keys.
    """

    folder: Path
    key: str | None = None
    file: Path | None = None
    command: Sequence[str] = ()
    previous: Sequence[str] = ()

    @property
    def local(self) -> bool:
        """Whether the key stands in the data folder as it is."""
        return self.key is None and self.file is None and not self.command


def open_master_keys(sources: KeySources) -> KeyRing:
    """The master keys, made where there are none yet. Raises StartupError."""
    if sources.key is not None and sources.file is not None:
        raise StartupError("master_key and master_key_file exclude each other: there is one master key")
    for file in sources.folder.glob(f"{LOCAL}*{UNFINISHED}"):
        file.unlink()  # the server was killed while it wrote; it may hold a key that is replaced
    previous = [key for place, text in enumerate(sources.previous, 1) for key in _previous(text, place)]
    command = KeyCommand(sources.command) if sources.command else None
    wrapped = (sources.folder / WRAPPED).exists()
    ring: KeyRing
    if sources.key is not None:
        ring = KeyRing(decode_key(sources.key, "master_key"), previous)
    elif sources.file is not None:
        ring = FileKeys(sources.file, previous)
    elif wrapped and command is None:
        # A new key would be made, and what is sealed could not be opened.
        raise StartupError(f"the data folder has a wrapped master key ({WRAPPED}): set master_key_command to unwrap it")
    else:
        ring = stored = StoredKeys(sources.folder, command, previous)
        if stored.command is None:
            return ring
    # The key is elsewhere now: those which the data folder still has are from before.
    _spare(ring, sources.folder, LOCAL, None)
    if wrapped and command is not None and not isinstance(ring, StoredKeys):
        _spare(ring, sources.folder, WRAPPED, command)
    return ring


def _spare(ring: KeyRing, folder: Path, name: str, command: KeyCommand | None) -> None:
    """Has keys open that the server kept in the data folder, before it got another one."""
    for file in (folder / name, *sorted(folder.glob(f"{name}.{_ID}"))):
        if file.exists():
            ring.spare(file, _read(file, command))


def _read(file: Path, command: KeyCommand | None) -> bytes:
    if command is None:
        return read_keys(file, "the master key")[0]
    id, _, text = read_private(file, "the wrapped master key").partition(" ")
    key = command.unwrap(base64.b64decode(text))
    if len(key) != KEY_BYTES or MasterKey(key).id != id:
        raise StartupError(f"master_key_command: unwrap answers another key than the one that {file} was made of")
    return key


def _previous(text: str, place: int) -> list[bytes]:
    name = f"item {place} of master_key_previous"
    try:
        return [decode_key(text, name)]
    except StartupError:
        file = Path(text).expanduser()
        # What is not a file may be a mistyped key: it is not repeated.
        if "/" not in text or not file.is_file():
            raise StartupError(f"{name} is neither 32 bytes in base64 nor the path of a file") from None
    return read_keys(file, name)
