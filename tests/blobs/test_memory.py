"""Memory does not grow with the size of a file."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.alone

MEBIBYTE = 1 << 20

ROOT = Path(__file__).parents[2]


def _growth(*arguments: str) -> int:
    """By how many bytes the peak of memory grew while a file was uploaded, put, and read again."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.blobs.writers", "measuring", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(done.stdout) * 1024


def test_half_a_gibibyte_through_a_folder(tmp_path: Path) -> None:
    assert _growth(str(tmp_path), str(512 * MEBIBYTE)) < 16 * MEBIBYTE


@pytest.mark.parametrize("mebibytes", [128])
def test_an_object_in_parts(tmp_path: Path, s3_url: str, mebibytes: int) -> None:
    assert _growth(str(tmp_path), str(mebibytes * MEBIBYTE), s3_url) < 64 * MEBIBYTE
