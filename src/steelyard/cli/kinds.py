"""The kinds of records that the command line knows, by the name that manifests, exports and events call them."""

from steelyard.cli.adapters import ADAPTERS
from steelyard.cli.aliases import ALIASES
from steelyard.cli.filesets import FILESETS
from steelyard.cli.limits import LIMITS
from steelyard.cli.models import MODELS
from steelyard.cli.projects import PROJECTS
from steelyard.cli.prompts import PROMPTS
from steelyard.cli.providers import PROVIDERS
from steelyard.cli.resource import Resource
from steelyard.cli.virtual_models import VIRTUAL_MODELS
from steelyard.cli.workspaces import WORKSPACES

RESOURCES: tuple[Resource, ...] = (
    *(MODELS, ADAPTERS, FILESETS, PROMPTS, ALIASES),
    *(PROVIDERS, VIRTUAL_MODELS, LIMITS),
    *(PROJECTS, WORKSPACES),
)

# What must be there for another to name it comes first.
ORDER = ("workspace", "project", "prompt", "model-provider", "model", "alias", "virtual-model", "limit")
KINDS: dict[str, Resource] = {
    kind: resource for kind in ORDER for resource in RESOURCES if kind == (resource.kind or resource.noun)
}
