"""Where master keys come from, how one follows another, and that none of them is ever shown."""

import base64
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from steelyard.auth.key_files import KEY_BYTES, read_keys
from steelyard.auth.master_keys import LOCAL, WRAPPED, KeyRing, KeySources, MasterKey, open_master_keys
from steelyard.errors import Conflict, StartupError

KEY, OTHER = bytes(range(KEY_BYTES)), bytes(range(KEY_BYTES))[::-1]
TEXT, OTHER_TEXT = base64.b64encode(KEY).decode(), base64.b64encode(OTHER).decode()


def id_of(key: bytes) -> str:
    return MasterKey(key).id


def key_file(file: Path, *keys: str) -> Path:
    file.write_text("\n".join(keys) + "\n")
    file.chmod(0o600)
    return file


def command(folder: Path, body: str) -> tuple[str, ...]:
    """A command in Python, which logs each call; `body` sets `out` from the bytes `data` and the `verb`."""
    script = folder / "kms.py"
    script.write_text(
        "import base64, sys, time, os\n"
        "verb = sys.argv[-1]\n"
        f"open({str(folder / 'calls')!r}, 'a').write(verb + '\\n')\n"
        "data = base64.b64decode(sys.stdin.buffer.read())\n"
        f"{body}\n"
        "print(base64.b64encode(out).decode())\n"
    )
    return (sys.executable, str(script), "--key", "alias/steelyard")


REVERSES = "out = b'wrapped:' + data[::-1] if verb == 'wrap' else data[8:][::-1]"


def calls(folder: Path) -> list[str]:
    file = folder / "calls"
    return file.read_text().split() if file.exists() else []


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    ring = open_master_keys(KeySources(tmp_path))
    assert stat.S_IMODE((tmp_path / LOCAL).stat().st_mode) == 0o600
    assert open_master_keys(KeySources(tmp_path)).present.id == ring.present.id
    assert [file.name for file in tmp_path.iterdir()] == [LOCAL]
    (tmp_path / LOCAL).unlink()
    assert open_master_keys(KeySources(tmp_path)).present.id != ring.present.id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    open_master_keys(KeySources(tmp_path))
    (tmp_path / LOCAL).chmod(mode)
    with pytest.raises(StartupError, match="chmod 600"):
        open_master_keys(KeySources(tmp_path))
    given = key_file(tmp_path / "given", TEXT)
    given.chmod(mode)
    for sources in (KeySources(tmp_path / "data", file=given), KeySources(tmp_path, key=TEXT, previous=[str(given)])):
        with pytest.raises(StartupError, match="chmod 600"):
            open_master_keys(sources)


@pytest.mark.parametrize("text", ["", "short", "not base64!", base64.b64encode(b"k" * 31).decode(), "\xff\xfe"])
def test_a_key_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    key_file(tmp_path / LOCAL, text)
    with pytest.raises(StartupError, match="32 bytes"):
        open_master_keys(KeySources(tmp_path))
    with pytest.raises(StartupError, match="master_key must be 32 bytes"):
        open_master_keys(KeySources(tmp_path / "unused", key=text))
    with pytest.raises(StartupError, match="32 bytes"):
        open_master_keys(KeySources(tmp_path / "unused", file=tmp_path / LOCAL))
    assert not (tmp_path / "unused").exists()


def test_a_configured_key_is_taken_and_no_file_made(tmp_path: Path) -> None:
    assert open_master_keys(KeySources(tmp_path, key=TEXT)).present.id == id_of(KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="master_key_file: cannot read"):
        open_master_keys(KeySources(tmp_path, file=tmp_path / "missing"))
    assert list(tmp_path.iterdir()) == []


def test_one_key_is_present(tmp_path: Path) -> None:
    file = key_file(tmp_path / "given", TEXT)
    with pytest.raises(StartupError, match="exclude each other"):
        open_master_keys(KeySources(tmp_path, key=TEXT, file=file))


def test_keys_from_before_are_keys_or_files_and_a_mistyped_one_is_not_repeated(tmp_path: Path) -> None:
    file = key_file(tmp_path / "old", OTHER_TEXT)
    third = base64.b64encode(b"3" * 32).decode()
    ring = open_master_keys(KeySources(tmp_path, key=TEXT, previous=[str(file), third]))
    assert ring.previous == {id_of(OTHER), id_of(b"3" * 32)}
    assert all(ring.find(id) for id in (*ring.previous, id_of(KEY)))
    assert ring.find("00000000") is None
    for mistyped in (third[:-3], f"/{third}"):
        with pytest.raises(StartupError, match="item 2 of master_key_previous is neither") as error:
            open_master_keys(KeySources(tmp_path, key=TEXT, previous=[str(file), mistyped]))
        assert mistyped not in str(error.value)


def test_no_key_shows_itself() -> None:
    ring = KeyRing(KEY, [OTHER])
    shown = repr(ring) + repr(ring.present) + str(vars(ring)) + repr(ring.find(id_of(OTHER)))
    for key in (KEY, OTHER):
        for form in (base64.b64encode(key).decode(), key.hex(), repr(key)):
            assert form not in shown


def test_a_key_of_the_settings_is_not_made_anew() -> None:
    with pytest.raises(Conflict, match="master_key_previous"):
        KeyRing(KEY).renew()


def test_a_file_of_keys_is_read_again_for_a_new_one(tmp_path: Path) -> None:
    file = key_file(tmp_path / "keys", TEXT)
    ring = open_master_keys(KeySources(tmp_path, file=file))
    with pytest.raises(Conflict, match="first line"):
        ring.renew()
    key_file(file, OTHER_TEXT)
    with pytest.raises(Conflict, match="keep the old"):
        ring.renew()
    assert ring.present.id == id_of(KEY)
    key_file(file, OTHER_TEXT, TEXT)
    ring.renew()
    assert (ring.present.id, ring.previous) == (id_of(OTHER), frozenset({id_of(KEY)}))
    again = open_master_keys(KeySources(tmp_path, file=file))
    assert (again.present.id, again.previous) == (id_of(OTHER), frozenset({id_of(KEY)}))
    ring.retire(set())
    assert read_keys(file, "") == [OTHER, KEY], "the file is the operator's"


def test_a_new_key_of_the_data_folder_keeps_the_old_one_until_nothing_needs_it(tmp_path: Path) -> None:
    ring = open_master_keys(KeySources(tmp_path))
    first = ring.present.id
    ring.renew()
    second = ring.present.id
    assert first != second
    assert sorted(file.name for file in tmp_path.iterdir()) == [LOCAL, f"{LOCAL}.{first}"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    again = open_master_keys(KeySources(tmp_path))
    assert (again.present.id, again.previous, again.unfinished) == (second, frozenset({first}), True)
    again.retire({first})
    assert again.unfinished
    again.retire({second})
    assert not again.unfinished
    assert [file.name for file in tmp_path.iterdir()] == [LOCAL]
    assert again.find(first) is not None, "who still holds a token in memory can open it"


def test_a_server_that_ends_before_the_new_key_is_there_goes_on_with_the_old(tmp_path: Path) -> None:
    ring = open_master_keys(KeySources(tmp_path))
    key_file(tmp_path / f"{LOCAL}.{ring.present.id}", (tmp_path / LOCAL).read_text().strip())
    (tmp_path / f"{LOCAL}.unfinished").write_text("half of a k")
    again = open_master_keys(KeySources(tmp_path))
    assert (again.present.id, again.previous, again.unfinished) == (ring.present.id, frozenset(), False)
    (tmp_path / f"{LOCAL}.{ring.present.id}.unfinished").write_text("half of a k")
    again = open_master_keys(KeySources(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == [LOCAL]


def test_a_command_wraps_the_key_and_is_asked_once_at_a_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    sources = KeySources(data, command=command(tmp_path, REVERSES))
    ring = open_master_keys(sources)
    assert calls(tmp_path) == ["wrap", "unwrap"], "the first time it is tried both ways, before anything is sealed"
    assert [file.name for file in data.iterdir()] == [WRAPPED]
    assert stat.S_IMODE((data / WRAPPED).stat().st_mode) == 0o600
    assert open_master_keys(sources).present.id == ring.present.id
    assert calls(tmp_path) == ["wrap", "unwrap", "unwrap"]
    with pytest.raises(StartupError, match="set master_key_command"):
        open_master_keys(KeySources(data))
    ring.renew()
    again = open_master_keys(sources)
    assert again.previous == {next(iter(ring.previous))}
    again.retire(set())
    assert [file.name for file in data.iterdir()] == [WRAPPED]


def test_a_key_of_the_data_folder_goes_when_a_command_wraps_another_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    plain = open_master_keys(KeySources(data))
    wrapping = open_master_keys(KeySources(data, command=command(tmp_path, REVERSES)))
    assert wrapping.previous == {plain.present.id}
    assert not wrapping.unfinished, "nobody asked for a rotation yet"
    wrapping.retire({plain.present.id})
    assert (data / LOCAL).exists()
    wrapping.retire({wrapping.present.id})
    assert [file.name for file in data.iterdir()] == [WRAPPED]
    # And the way back: the command still unwraps what it wrapped.
    away = open_master_keys(KeySources(data, key=TEXT, command=command(tmp_path, REVERSES)))
    assert (away.present.id, away.previous) == (id_of(KEY), frozenset({wrapping.present.id}))
    away.retire({id_of(KEY)})
    assert list(data.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit(3)", "failed with exit code 3"),
        ("print('AccessDenied: no', file=sys.stderr); sys.exit(1)", "failed with exit code 1: AccessDenied: no"),
        ("print('not base64!'); sys.exit()", "did not answer with base64"),
        ("out = b''", "did not answer with base64"),
        ("out = data + b'x'", "does not answer what wrap was given"),
        ("print('x' * 40 + ' ' + 'y ' * 400, file=sys.stderr); sys.exit(1)", "…"),
    ],
)
def test_what_a_command_does_wrong_is_told_in_one_line(tmp_path: Path, body: str, says: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(StartupError) as error:
        open_master_keys(KeySources(data, command=command(tmp_path, body)))
    assert says in error.value.message
    assert "\n" not in error.value.message
    assert len(error.value.message) < 700
    assert list(data.iterdir()) == [], "nothing is kept that does not open"


@pytest.mark.parametrize(
    "said",
    [
        "base64.b64encode(data).decode()",
        "base64.urlsafe_b64encode(data).decode().rstrip('=')",
        "data.hex()",
        "'key=' + base64.b64encode(data).decode() + ' was refused'",
    ],
)
def test_a_command_that_prints_the_key_does_not_bring_it_into_the_message(tmp_path: Path, said: str) -> None:
    (tmp_path / "data").mkdir()
    body = f"open({str(tmp_path / 'seen')!r}, 'wb').write(data); print({said}, file=sys.stderr); sys.exit(1)"
    with pytest.raises(StartupError) as error:
        open_master_keys(KeySources(tmp_path / "data", command=command(tmp_path, body)))
    key = (tmp_path / "seen").read_bytes()
    assert len(key) == KEY_BYTES
    for form in (base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode(), key.hex()):
        assert form[:16] not in error.value.message


def test_a_key_that_another_command_unwraps_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    open_master_keys(KeySources(tmp_path / "data", command=command(tmp_path, REVERSES)))
    with pytest.raises(StartupError, match="answers another key"):
        open_master_keys(KeySources(tmp_path / "data", command=command(tmp_path, "out = os.urandom(32)")))


def test_a_command_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be run: No such file"):
        open_master_keys(KeySources(tmp_path, command=(str(tmp_path / "missing"),)))


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    from steelyard.auth.key_command import KeyCommand  # noqa: PLC0415

    pid = tmp_path / "pid"
    script = tmp_path / "hangs.sh"
    script.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {pid}\nwait\n")
    script.chmod(0o700)
    started = time.monotonic()
    with pytest.raises(StartupError, match=r"did not answer within 0\.5 s"):
        KeyCommand([str(script)], seconds=0.5).wrap(KEY)
    assert time.monotonic() - started < 10
    child = int(pid.read_text())
    until = time.monotonic() + 5
    while time.monotonic() < until and _runs(child):
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and that nobody has waited for yet still has its number.
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    program, script, *rest = command(tmp_path, REVERSES)
    marker = tmp_path / "touched"
    open_master_keys(KeySources(tmp_path / "data", command=(program, script, *rest, f"; touch {marker}", "$(id)")))
    assert not marker.exists()
