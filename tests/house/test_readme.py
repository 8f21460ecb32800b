"""The documentation is true: what a page marks as runnable is run against a fresh server, and shows what it says.

How blocks are marked stands in `pages.py`.
"""

import os
from pathlib import Path

import pytest

from tests.house.pages import BadMarkError, Block, all_pages, blocks, name_of
from tests.house.running import RUNNABLE, NoClientsError, Reader
from tests.servers import running


def _blocks_of(page: Path) -> list[Block]:
    return list(blocks(name_of(page), page.read_text()))


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_every_mark_stands_before_a_block_that_can_run(page: Path) -> None:
    found = _blocks_of(page)

    assert [block.where for block in found if block.mark == "run" and block.language not in RUNNABLE] == []
    lone = [
        block.where
        for before, block in zip([None, *found], found, strict=False)
        if block.mark == "output" and (before is None or before.mark != "run")
    ]
    assert lone == [], "an output must follow a block that is run"


@pytest.mark.parametrize(
    "page", [page for page in all_pages() if any(block.mark == "run" for block in _blocks_of(page))], ids=name_of
)
def test_what_a_page_says_is_so(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    with running(tmp_path / "data") as server:
        try:
            assert list(Reader(folder, server.url).follow(_blocks_of(page))) == []
        except NoClientsError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))


@pytest.mark.parametrize(
    "text",
    [
        "<!-- run -->\n```json\n{1}\n```",
        "<!-- run -->\n```sh\nfalse\n```",
        "<!-- run: exit 3 -->\n```sh\ntrue\n```",
        "<!-- run -->\n```sh\nsteelyard models get nobody\n```",
        "<!-- run -->\n```sh\ncurl http://127.0.0.1:8080/nowhere\n```",
        "<!-- run -->\n```sh\necho one\n```\n<!-- output -->\n```\ntwo\n```",
        "<!-- run -->\n```sh\ncurl http://localhost:8080/health/live\n```\n"
        '<!-- output -->\n```json\n{"status": "dead"}\n```',
        "<!-- run -->\n```console\n$ echo one\none\n$ echo two\nthree\n```",
        "<!-- run -->\n```python\nraise SystemExit(1)\n```",
        "<!-- run -->\n```toml\nno_such_setting = 1\n```",
    ],
)
def test_a_page_that_is_not_true_is_found(server_url: str, tmp_path: Path, text: str) -> None:
    assert list(Reader(tmp_path, server_url).follow(list(blocks("page.md", text)))) != []


def test_a_page_that_is_true_is_followed_in_order(server_url: str, tmp_path: Path, workspace: str) -> None:
    text = f"""
<!-- run -->
```sh
curl --json '{{"name": "seven"}}' \\
  http://127.0.0.1:8080/apis/models/v2/workspaces/{workspace}/models
```
<!-- output -->
```json
{{"name": "seven", "id": "...", "adapters": []}}
```

1. then

   <!-- run -->
   ```console
   $ name=seven
   $ steelyard models get $name -w {workspace} --json \\
   >   | grep '"name"'
   ..."name": "seven"...
   $ steelyard models list -w {workspace} --quiet
   seven
   ```

<!-- run: exit 5 -->
```sh
steelyard models get eight -w {workspace}
```

<!-- run -->
```python
from urllib.request import urlopen

assert urlopen("http://127.0.0.1:8080/health/live").status == 200
```

<!-- run -->
```toml
port = 9000
```

```sh
not run
```
"""
    assert list(Reader(tmp_path, server_url).follow(list(blocks("page.md", text)))) == []


@pytest.mark.parametrize("text", ["<!-- run -->\n\nno block", "<!-- run -->", "<!-- run: slowly -->\n```sh\ntrue\n```"])
def test_a_mark_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(BadMarkError, match=r"^page\.md:1:"):
        list(blocks("page.md", text))
