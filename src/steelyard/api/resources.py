"""Where each kind of record stands in the API."""

from typing import Annotated

from fastapi import Query

from steelyard.api.filesets import create_fileset
from steelyard.api.routes import Resource
from steelyard.api.writes import shape_gone_message, shape_gone_record
from steelyard.records.adapters import ADAPTER
from steelyard.records.aliases import ALIAS
from steelyard.records.filesets import FILESET, Fileset
from steelyard.records.filters.ast import Compare, Filter, Operator
from steelyard.records.limits import LIMIT
from steelyard.records.models import MODEL
from steelyard.records.prompts import PROMPT
from steelyard.records.providers import MODEL_PROVIDER
from steelyard.records.secrets import SECRET
from steelyard.records.virtual_models import VIRTUAL_MODEL
from steelyard.records.webhooks import WEBHOOK
from steelyard.records.workspaces import PROJECT, WORKSPACE


async def wait_for_roles(
    wait_role_propagation: Annotated[
        bool, Query(description="For clients of the platform; here a role is in force when the answer is sent.")
    ] = True,
) -> None:
    """A parameter that is taken and has nothing to do."""


async def _made_by_hand(
    exclude_autoprovisioned: Annotated[
        bool, Query(description="Leave out those that the server made for what providers serve.")
    ] = False,
) -> Filter | None:
    """The filter that accepts what the server has not made by itself."""
    if not exclude_autoprovisioned:
        return None
    return Compare(VIRTUAL_MODEL.filters[VIRTUAL_MODEL.provisioned], Operator.EQ, False)


MODELS = Resource(
    kind=MODEL,
    prefix="/apis/models/v2/workspaces/{workspace}/models",
    plural="models",
    verbose=True,
    freezes=True,
)
FILESETS = Resource(
    kind=FILESET,
    prefix="/apis/files/v2/workspaces/{workspace}/filesets",
    plural="filesets",
    created=200,
    page_size=10,
    creates=create_fileset,
    delete_shape=lambda _home, _name: shape_gone_record,
    delete_answer=Fileset,
)
ADAPTERS = Resource(
    kind=ADAPTER,
    prefix="/apis/models/v2/workspaces/{workspace}/adapters",
    plural="adapters",
    echo_filter=True,
)
PROMPTS = Resource(
    kind=PROMPT,
    prefix="/apis/models/v2/workspaces/{workspace}/prompts",
    plural="prompts",
    puts=True,
)
WORKSPACES = Resource(
    kind=WORKSPACE,
    prefix="/apis/entities/v2/workspaces",
    plural="workspaces",
    in_workspace=False,
    puts=True,
    echo_filter=True,
    delete_shape=lambda _, name: shape_gone_message("Workspace deleted", name),
    create_parameters=wait_for_roles,
)
PROJECTS = Resource(
    kind=PROJECT,
    prefix="/apis/entities/v2/workspaces/{workspace}/projects",
    plural="projects",
    puts=True,
    echo_filter=True,
    delete_shape=lambda home, name: shape_gone_message("Project deleted successfully", f"{home}/{name}"),
)
ALIASES = Resource(
    kind=ALIAS,
    prefix="/apis/models/v2/workspaces/{workspace}/aliases",
    plural="aliases",
)
WEBHOOKS = Resource(
    kind=WEBHOOK,
    prefix="/apis/steelyard/v1/workspaces/{workspace}/webhooks",
    plural="webhooks",
)
SECRETS = Resource(
    kind=SECRET,
    prefix="/apis/secrets/v2/workspaces/{workspace}/secrets",
    plural="secrets",
    page_size=10,
)
PROVIDERS = Resource(
    kind=MODEL_PROVIDER,
    prefix="/apis/models/v2/workspaces/{workspace}/providers",
    plural="providers",
)
VIRTUAL_MODELS = Resource(
    kind=VIRTUAL_MODEL,
    prefix="/apis/inference-gateway/v2/workspaces/{workspace}/virtual-models",
    plural="virtual models",
    page_size=20,
    echo_filter=True,
    narrows=_made_by_hand,
)
LIMITS = Resource(
    kind=LIMIT,
    prefix="/apis/steelyard/v1/workspaces/{workspace}/limits",
    plural="limits",
)
RESOURCES = (
    *(MODELS, ADAPTERS, FILESETS, PROMPTS, WORKSPACES, PROJECTS, ALIASES, WEBHOOKS, SECRETS),
    *(PROVIDERS, VIRTUAL_MODELS, LIMITS),
)
