"""Whether an adapter's weights belong on its base: by the files of the adapter and the linear layers of the base."""

from typing import TYPE_CHECKING

from steelyard.actions.context import Context
from steelyard.actions.hidden import load_content
from steelyard.actions.inspections import known_content
from steelyard.errors import InvalidInput
from steelyard.records.adapters import LoraConfig
from steelyard.records.kinds import Fields, Row
from steelyard.store.protocol import ReadTransaction

if TYPE_CHECKING:
    from steelyard.inspect.peft import AdapterConfig


async def check_fit(
    tx: ReadTransaction, context: Context, fields: Fields, fileset: Row, base: Row, *, new: bool
) -> None:
    """Puts what the adapter's own files say into `fields`, and raises InvalidInput where they contradict what a user
    said, or where a tensor cannot fit the base: the first misfit is named.

    Only a `new` adapter comes with a user's word; of one that gets other files, `lora_config` is that of the old ones.
    Adapters that bring no `adapter_config.json`, and bases whose layers are not known, are taken as they are.
    """
    from steelyard.inspect.checkpoint import Inspection  # noqa: PLC0415 - see `inspections.py`
    from steelyard.inspect.peft import fits  # noqa: PLC0415

    content = await known_content(tx, fileset)
    inspection = Inspection.from_document(content.body)
    if inspection is None or inspection.adapter is None:
        return
    _read_lora(fields, inspection.adapter, said=(fields.get("lora_config") if new else None) or {})
    spec = base.fields["spec"] or {}
    marker = spec.get("linear_layers")
    layers = await load_content(tx, marker["sha256"]) if marker else None
    misfit = fits(inspection.adapter, layers, spec.get("hidden_size")) if layers else None
    if misfit is not None:
        name = f"{base.workspace}/{base.name}"
        raise InvalidInput.of(("body", "fileset"), "adapter_misfit", f"does not fit {name!r}: {misfit.message}")


def _read_lora(fields: Fields, adapter: "AdapterConfig", *, said: Fields) -> None:
    """What the files say about rank and scaling wins where nobody said it, and is insisted on where somebody did."""
    if adapter.rank is None:
        return
    alpha = int(adapter.alpha) if adapter.alpha is not None and float(adapter.alpha).is_integer() else None
    for name, true in (("rank", adapter.rank), ("alpha", alpha)):
        if said.get(name) is not None and true is not None and said[name] != true:
            message = f"is {said[name]}, but the adapter's own configuration says {true}; leave it out, or mend it"
            raise InvalidInput.of(("body", "lora_config", name), "adapter_mismatch", message)
    fields["lora_config"] = LoraConfig(rank=adapter.rank, alpha=said.get("alpha", alpha) or alpha).model_dump()
