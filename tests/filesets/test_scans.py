"""What stands on a file about code that loading it would run; weights without code are never suspected."""

import pickle
from typing import Any

import httpx
import pytest

from steelyard.inspect.pickles import scan
from tests.filesets.checkpoints import filesets
from tests.inspect.checkpoints import header


class Evil:
    """What it would do if anybody loaded it, which nobody does."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os  # noqa: PLC0415 - it is only named

        return os.system, ("id",)


def found(http: httpx.Client, workspace: str, name: str, content: bytes) -> dict[str, Any] | None:
    http.post(filesets(workspace), json={"name": "files"})
    answer = http.put(f"{filesets(workspace)}/files/-/{name}", content=content)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] | None = answer.json()["scan"]
    return result


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["model.bin", "README.md", "model.safetensors"])
def test_a_dangerous_pickle_is_known_by_its_content_whatever_its_name(
    http: httpx.Client, workspace: str, name: str, protocol: int
) -> None:
    scanned = found(http, workspace, name, pickle.dumps(Evil(), protocol))

    assert scanned is not None
    assert scanned["verdict"] == "dangerous"
    assert any("system" in name for name in scanned["imports"])


def test_a_text_is_not_scanned_and_has_no_findings(http: httpx.Client, workspace: str) -> None:
    assert found(http, workspace, "README.md", b"# A model\n\nIt is small.\n") is None


def test_weights_are_no_pickle_however_long_their_header() -> None:
    for length in range(2, 1 << 16, 5):
        head = header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'.ljust(length + 53) + b"}")
        content = head + bytes(4)

        def read(offset: int, size: int, content: bytes = content) -> bytes:
            return content[offset : offset + size]

        assert scan(read, len(content), "").kind == "none", length
