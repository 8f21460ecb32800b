"""Reading repositories: what they are, what is in them, and their files."""

from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.files.tree import find_file, list_commits, list_files
from steelyard.api import answers
from steelyard.api.hub.routes import hub_router, on_repository, repository_of, revision_of
from steelyard.api.hub.shown import commit_shown, linked_etag, repository_at, sibling_shown
from steelyard.api.hub.trees import paths_shown, tree_page
from steelyard.api.requests import context_of, header, limits_of, parsed, read_body
from steelyard.api.serving import serve_file
from steelyard.errors import InvalidInput, InvalidParameters

router = hub_router()

_COMMITS = 100
_MOST_PATHS = 1000
_TRUE = frozenset({"1", "true", "yes", "on"})


@on_repository(router, "/resolve/{revision}/{path:path}", "GET", "HEAD", api=False)
async def resolve(request: Request) -> Response:
    """The bytes of a file at a revision, or a range of them."""
    repository = repository_of(request)
    path = request.path_params["path"]
    found = await find_file(context_of(request), repository.workspace, repository.name, path, revision_of(request))
    linked = {
        "x-repo-commit": found.commit.id,
        "x-linked-etag": f'"{linked_etag(found.file)}"',
        "x-linked-size": str(found.file.size),
    }
    return await serve_file(request, found, extra_headers=linked)


@on_repository(router, "")
@on_repository(router, "/revision/{revision:path}")
async def information(request: Request) -> Response:
    """What a repository is at a revision, and the names of its files."""
    repository = repository_of(request)
    tree = await list_files(context_of(request), repository.workspace, repository.name, revision_of(request))
    blobs = _asked(request.query_params.get("blobs"))
    siblings = [sibling_shown(file, blobs=blobs) for file in tree.files]
    return answers.json({**repository_at(tree.row, tree.commit), "siblings": siblings})


@on_repository(router, "/tree/{revision}")
@on_repository(router, "/tree/{revision}/{path:path}")
async def tree(request: Request) -> Response:
    """A page of what lies in a folder, or anywhere below it."""
    query = request.query_params
    page = await tree_page(
        context_of(request),
        repository_of(request),
        revision_of(request),
        request.path_params.get("path", "").strip("/"),
        recursive=_asked(query.get("recursive")),
        expand=_asked(query.get("expand")),
        after=query.get("cursor", ""),
    )
    following = None if page.following is None else {**query, "cursor": page.following}
    return answers.json(page.entries, headers=[*_link(request, following), (b"x-repo-commit", page.commit.id.encode())])


@on_repository(router, "/paths-info/{revision}", "POST")
async def paths_info(request: Request) -> Response:
    """Files and folders by their paths; those that are not there are left out."""
    paths, expand = await _read_paths(request)
    repository, revision = repository_of(request), revision_of(request)
    return answers.json(await paths_shown(context_of(request), repository, revision, paths, expand=expand))


async def _read_paths(request: Request) -> tuple[list[str], bool]:
    """The paths that a body asks for, and whether it asks for their commits: a form, or JSON."""
    body = await read_body(request, limits_of(request).record_body_bytes, "limits.record_body_bytes")
    if (header(request, b"content-type") or b"").startswith(b"application/json"):
        said = parsed(request, body)
        paths = said.get("paths") if isinstance(said, dict) else None
        expand = isinstance(said, dict) and said.get("expand") is True
    else:
        form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_PATHS + 10)
        paths, expand = form.get("paths", []), _asked(form.get("expand", ["false"])[-1])
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or len(paths) > _MOST_PATHS or not all(isinstance(path, str) for path in paths):
        raise InvalidInput.of(("body", "paths"), "list_type", f"must be a list of at most {_MOST_PATHS} paths")
    return paths, expand


@on_repository(router, "/treesize/{revision}")
@on_repository(router, "/treesize/{revision}/{path:path}")
async def tree_size(request: Request) -> Response:
    """How many bytes lie in a folder and below it."""
    repository, path = repository_of(request), request.path_params.get("path", "").strip("/")
    prefix = f"{path}/" if path else ""
    found = await list_files(
        context_of(request), repository.workspace, repository.name, revision_of(request), prefix=prefix
    )
    return answers.json({"path": f"/{path}", "size": sum(file.size for file in found.files)})


@on_repository(router, "/refs")
async def refs(request: Request) -> Response:
    """The branches: there is one, and there are no tags."""
    repository = repository_of(request)
    found = await list_files(context_of(request), repository.workspace, repository.name, limit=1)
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": found.commit.id}
    return answers.json({"branches": [main], "converts": [], "tags": [], "pullRequests": []})


@on_repository(router, "/commits/{revision:path}")
async def commits(request: Request) -> Response:
    """A page of the commits that led to a revision, newest first."""
    repository, context = repository_of(request), context_of(request)
    cursor = request.query_params.get("cursor")
    if cursor is None:
        found = await list_files(context, repository.workspace, repository.name, revision_of(request), limit=1)
        newest = found.commit.number
    elif cursor.isascii() and cursor.isdigit() and len(cursor) < 16:
        newest = int(cursor)
    else:
        raise InvalidParameters.of(("query", "cursor"), "cursor", "must be a cursor of this server")
    _, listed = await list_commits(context, repository.workspace, repository.name, newest=newest, limit=_COMMITS + 1)
    following = {"cursor": str(listed[_COMMITS].number)} if len(listed) > _COMMITS else None
    return answers.json([commit_shown(commit) for commit in listed[:_COMMITS]], headers=_link(request, following))


def _asked(value: str | None) -> bool:
    return value is not None and value.lower() in _TRUE


def _link(request: Request, following: dict[str, str] | None) -> list[tuple[bytes, bytes]]:
    """The header that leads to the next page (RFC 8288)."""
    if following is None:
        return []
    url = request.url.replace(query=urlencode(following))
    return [(b"link", f'<{url}>; rel="next"'.encode("ascii", "replace"))]
