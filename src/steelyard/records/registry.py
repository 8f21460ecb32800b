"""Every kind of record, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from steelyard.records.adapters import ADAPTER
from steelyard.records.aliases import ALIAS
from steelyard.records.filesets import FILESET
from steelyard.records.kinds import Kind
from steelyard.records.limits import LIMIT
from steelyard.records.models import MODEL
from steelyard.records.prompts import PROMPT
from steelyard.records.providers import MODEL_PROVIDER
from steelyard.records.secrets import SECRET
from steelyard.records.virtual_models import VIRTUAL_MODEL
from steelyard.records.webhooks import WEBHOOK
from steelyard.records.workspaces import PROJECT, WORKSPACE

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            *(WORKSPACE, PROJECT, FILESET, MODEL, ADAPTER, PROMPT, ALIAS, WEBHOOK, SECRET),
            *(MODEL_PROVIDER, VIRTUAL_MODEL, LIMIT),
        )
    }
)
