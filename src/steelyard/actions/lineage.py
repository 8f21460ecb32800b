"""Where a model comes from and what was made from it: base models, fine-tuned models and adapters, as a graph."""

from steelyard.actions.context import Context
from steelyard.actions.insight import named_model
from steelyard.records.kinds import Document
from steelyard.records.lineage import graph
from steelyard.records.names import Reference
from steelyard.store.protocol import ReadTransaction

MOST_STEPS = 32
MOST_NODES = 10_000


async def lineage(context: Context, workspace: str, name: str, *, up: int, down: int) -> Document:
    """The relatives of a model as `nodes` and `edges`, up to so many steps each way, nearest first.

    `truncated` says that there are more than MOST_NODES of them. Raises NotFound.
    """

    async def action(tx: ReadTransaction) -> Document:
        row = await named_model(tx, workspace, name)
        home = Reference(row.workspace, row.name)
        start = {
            "workspace": row.workspace,
            "name": row.name,
            "kind": row.kind,
            "depth": 0,
            "relation": "self",
            "state": "here",
            "finetuning_type": row.fields["finetuning_type"],
            "fileset": row.fields["fileset"],
        }
        return graph(start, await tx.lineage(home, up=up, down=down, limit=MOST_NODES), MOST_NODES)

    return await context.store.scan(action)
