"""The verbs of a record's history: what happened to it, what differs, and the ways back."""

from typing import Annotated, Any

import typer

from steelyard.cli.address import quoted_etag
from steelyard.cli.differences import show_differences
from steelyard.cli.resource import Resource
from steelyard.cli.session import Session
from steelyard.cli.verbs import Name
from steelyard.cli.walking import Limit, walk
from steelyard.cli.writing import DryRun, IfMatch, Reason, read_before, tell, write_query

_COLUMNS = ("revision", "at", "actor", "action", "changed", "reason")

Revision = Annotated[
    int, typer.Argument(metavar="REVISION", min=1, help="Its number in the history.", show_default=False)
]


class History:
    """The history of one resource, each verb a function of a session."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def history(
        self,
        session: Session,
        name: Name,
        limit: Limit = None,
    ) -> None:
        path, _ = self.resource.item(session.workspace, name)
        found = walk(session, f"{path}/revisions", {}, limit=limit)
        # What a record began with is said by the record; to a person all its fields would say nothing.
        records = found.records if session.output.json else [_readable(record) for record in found.records]
        session.output.records(records, _COLUMNS)
        if found.more:
            session.output.note(f"{found.shown}; --limit shows more")

    def diff(
        self,
        session: Session,
        name: Name,
        first: Annotated[int, typer.Argument(metavar="A", min=1, help="A revision.", show_default=False)],
        second: Annotated[
            int | None, typer.Argument(metavar="B", min=1, help="Another; the present one when not given.")
        ] = None,
        merge_patch: Annotated[
            bool, typer.Option("--merge-patch", help="Print what makes B of A, as a JSON merge patch.")
        ] = False,
    ) -> None:
        path, title = self.resource.item(session.workspace, name)
        second = second or int(session.client.call("GET", path).record().get("revision") or 1)
        found = session.client.call("GET", f"{path}/revisions/{first}...{second}").record()
        if merge_patch:
            session.output.value(found.get("merge_patch"))
        elif session.output.json:
            session.output.value(found)
        elif diff := found.get("diff"):
            show_differences(session.output, diff)
        else:
            session.output.note(f"{self.resource.noun} {title}: {first} and {second} do not differ")

    def revert(
        self,
        session: Session,
        name: Name,
        revision: Revision,
        *,
        if_match: IfMatch = None,
        reason: Reason = None,
        dry_run: DryRun = False,
    ) -> None:
        path, title = self.resource.item(session.workspace, name)
        before = read_before(session, path, dry_run=dry_run)
        record = session.client.call(
            "POST",
            f"{path}:revert",
            query=write_query(dry_run=dry_run, reason=reason),
            body={"revision": revision},
            if_match=quoted_etag(if_match),
        ).record()
        tell(session, record, f"{self.resource.noun} {title}", f"reverted to revision {revision}", before)

    def freeze(
        self, session: Session, name: Name, if_match: IfMatch = None, reason: Reason = None, dry_run: DryRun = False
    ) -> None:
        self._do(session, name, "freeze", "frozen", if_match, write_query(dry_run=dry_run, reason=reason))

    def unfreeze(
        self, session: Session, name: Name, if_match: IfMatch = None, reason: Reason = None, dry_run: DryRun = False
    ) -> None:
        self._do(session, name, "unfreeze", "unfrozen", if_match, write_query(dry_run=dry_run, reason=reason))

    def undelete(self, session: Session, name: Name, reason: Reason = None, dry_run: DryRun = False) -> None:
        self._do(session, name, "undelete", "undeleted", None, write_query(dry_run=dry_run, reason=reason))

    def _do(
        self, session: Session, name: str, verb: str, done: str, if_match: str | None, query: dict[str, str]
    ) -> None:
        path, title = self.resource.item(session.workspace, name)
        answer = session.client.call("POST", f"{path}:{verb}", query=query, if_match=quoted_etag(if_match))
        tell(session, answer.record(), f"{self.resource.noun} {title}", done)


def _readable(revision: dict[str, Any]) -> dict[str, Any]:
    return {**revision, "changed": []} if revision.get("before") is None else revision
