"""Walks the files of a repository as a tree: folder by folder, or all of them, in pages."""

from typing import Any, NamedTuple

from steelyard.actions.context import Context
from steelyard.actions.files.tree import find_file, list_commits, list_files
from steelyard.api.hub.routes import Repository
from steelyard.api.hub.shown import file_shown, folder_shown
from steelyard.errors import BadPath, NotFound
from steelyard.records.filesets import Commit, FileEntry
from steelyard.records.paths import folders_above

PAGE = 1000
EXPANDED_PAGE = 100
"""A page of entries with their commits is smaller: each of them has to be found."""
_PAST_ALL = "\U0010ffff"


class Page(NamedTuple):
    """Entries of a tree in the order of their paths; `following` is where the next page starts, None at the end."""

    entries: list[dict[str, Any]]
    commit: Commit
    following: str | None


async def tree_page(
    context: Context,
    repository: Repository,
    revision: str | None,
    folder: str,
    *,
    recursive: bool,
    expand: bool,
    after: str = "",
) -> Page:
    """A page of what lies in a folder (empty for the root), from behind the path `after`. Raises NotFound."""
    workspace, name = repository.workspace, repository.name
    size = EXPANDED_PAGE if expand else PAGE
    prefix = f"{folder}/" if folder else ""
    entries: list[dict[str, Any]] = []
    while True:
        tree = await list_files(context, workspace, name, revision, prefix=prefix, after=after, limit=size + 1)
        # All pages, and all looks of one, are at the same commit.
        revision = tree.commit.id
        commits = await commits_of(context, repository, tree.files) if expand else {}
        if not tree.files and not entries and not after and folder:
            raise NotFound(f"{folder!r} is no folder of {repository.id!r}")
        for file in tree.files:
            if not recursive and file.path <= after:
                continue  # in a folder that has just been shown
            if len(entries) >= size:
                return Page(entries, tree.commit, after)
            below = file.path[len(prefix) :]
            if recursive or "/" not in below:
                if recursive:
                    entries += _new_folders(file.path, prefix, after, tree.commit)
                entries.append(file_shown(file, commits.get(file.since)))
                after = file.path
            else:
                child = prefix + below.partition("/")[0]
                entries.append(folder_shown(child, tree.commit.id))
                after = f"{child}/{_PAST_ALL}"
        if len(tree.files) <= size:
            return Page(entries, tree.commit, None)


def _new_folders(path: str, prefix: str, before: str, commit: Commit) -> list[dict[str, Any]]:
    """The folders between `prefix` and a file that were not shown with the file before it."""
    shown = set(folders_above(before))
    return [
        folder_shown(above, commit.id)
        for above in folders_above(path)
        if above.startswith(prefix) and above not in shown
    ]


async def commits_of(context: Context, repository: Repository, files: list[FileEntry]) -> dict[int, Commit]:
    """The commits that brought `files`, by number."""
    found: dict[int, Commit] = {}
    for number in {file.since for file in files}:
        _, commits = await list_commits(context, repository.workspace, repository.name, newest=number, limit=1)
        found |= {commit.number: commit for commit in commits}
    return found


async def paths_shown(
    context: Context, repository: Repository, revision: str | None, paths: list[str], *, expand: bool
) -> list[dict[str, Any]]:
    """Those of `paths` that are there, files and folders. Raises NotFound for the repository or the revision."""
    workspace, name = repository.workspace, repository.name
    tree = await list_files(context, workspace, name, revision, limit=1)
    commit, files, folders = tree.commit, list[FileEntry](), list[str]()
    for path in dict.fromkeys(path.strip("/") for path in paths):
        try:
            files.append((await find_file(context, workspace, name, path, commit.id)).file)
        except (NotFound, BadPath):
            below = await list_files(context, workspace, name, commit.id, prefix=f"{path}/", limit=1)
            if below.files:
                folders.append(path)
    commits = await commits_of(context, repository, files) if expand else {}
    shown = [file_shown(file, commits.get(file.since)) for file in files]
    return shown + [folder_shown(path, commit.id) for path in folders]
