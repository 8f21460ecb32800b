"""The matrix of permissions, held to a real server: each operation, asked by somebody of each kind, in their own
workspace and in another one.
"""

from collections import defaultdict

import httpx
import pytest

from steelyard.records.permissions import OPERATIONS
from tests.access import roles_page
from tests.access.requests import TICKETED, Operation, operations, request_of
from tests.access.table import COLUMNS, EVERYWHERE, FILE, NOBODY, cell, read, rows, write
from tests.access.table import OWN as ONLY_OWN
from tests.access.worlds import MISSING, OTHER, OWN, World

_HIDES = frozenset({"workspace", "workspace-name", "named"})


@pytest.fixture(scope="session")
def known(asked: World) -> dict[str, list[Operation]]:
    """The operations of the server, by their ids."""
    found = defaultdict(list)
    for operation in operations(asked.root.get("/openapi.json").json()):
        found[operation.id].append(operation)
    return found


def test_the_file_is_what_the_code_says() -> None:
    assert FILE.read_text() == write(), "run `python -m tests.access.table`, and read what has changed"


def test_the_page_about_roles_is_what_the_code_says() -> None:
    assert roles_page.FILE.read_text() == roles_page.write(), "run `make docs`"


def test_every_operation_has_a_row_and_every_row_an_operation(known: dict[str, list[Operation]]) -> None:
    assert set(known) == set(read())


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_operation(
    operation: str, asked: World, known: dict[str, list[Operation]], people: dict[str, httpx.Client]
) -> None:
    expected = read()[operation]
    wrong: list[tuple[object, ...]] = []
    for one in known[operation]:
        for column in COLUMNS:
            may = expected[column.title]
            for workspace in (OWN, OTHER):
                answer = _ask(asked, people[column.title], one, workspace)
                allowed = may == EVERYWHERE or (may == ONLY_OWN and workspace == OWN)
                if _refused(one, answer) == allowed:
                    wrong.append((column.title, workspace, f"{one.method} {one.path}", answer.status_code, answer.text))
                if not allowed and workspace == OTHER and OPERATIONS[operation].where in _HIDES:
                    missing = _ask(asked, people[column.title], one, MISSING)
                    if _told(missing, MISSING) != _told(answer, OTHER):
                        wrong.append((column.title, "tells", one.path, missing.text, answer.text))
    assert not wrong, wrong[:5]


def _ask(asked: World, client: httpx.Client, operation: Operation, workspace: str) -> httpx.Response:
    def binding(where: str) -> str:
        return "role-binding-none" if where == MISSING else asked.bind(asked.name("guest"), "Invoker", where)

    return client.request(**request_of(operation, workspace, binding))


def _refused(operation: Operation, answer: httpx.Response) -> bool:
    assert answer.status_code < 500, answer.text
    if operation.id in TICKETED:
        return answer.status_code == 401
    return answer.status_code in ({401, 403, 404} if operation.seen else {401, 403})


def _told(answer: httpx.Response, workspace: str) -> tuple[int, str]:
    """What an answer tells, but for the names that the request itself holds."""
    text = answer.text
    for part in (str(answer.request.url.raw_path, "ascii"), answer.request.url.path):
        text = text.replace(part, "PATH")
    text = text.replace(answer.request.url.path.rpartition("/")[2][:100], "NAME")
    return answer.status_code, text.replace(workspace, "WORKSPACE")


def test_a_cell_that_is_wrong_is_found() -> None:
    """The tests above would pass on a server that refuses nobody, or everybody, if the table said so everywhere."""
    table = {row[0]: row[3:] for row in rows()}
    assert {NOBODY, ONLY_OWN, EVERYWHERE} <= {one for row in table.values() for one in row}
    viewer = next(column for column in COLUMNS if column.title == "Viewer")
    assert cell(OPERATIONS["get_model"], viewer) == ONLY_OWN
    assert cell(OPERATIONS["update_model"], viewer) == NOBODY
