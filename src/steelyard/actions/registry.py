"""The writes of each kind of record, by the kind's name: what batches, applies and imports look up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from steelyard.actions import (
    adapters,
    aliases,
    filesets,
    limits,
    models,
    prompts,
    providers,
    secrets,
    virtual_models,
    webhooks,
    workspaces,
)
from steelyard.actions.writes import Rules, Write, no_rules


@dataclass(frozen=True, slots=True)
class Verbs:
    """The functions that prepare the writes of one kind, and the rules that its fields keep to."""

    create: Callable[..., Write]
    update: Callable[..., Write]
    delete: Callable[..., Write]
    rules: Rules = no_rules


VERBS: Mapping[str, Verbs] = MappingProxyType(
    {
        "workspace": Verbs(
            workspaces.create_workspace,
            workspaces.update_workspace,
            workspaces.delete_workspace,
            workspaces.workspace_rules,
        ),
        "project": Verbs(workspaces.create_project, workspaces.update_project, workspaces.delete_project),
        "model": Verbs(models.create_model, models.update_model, models.delete_model, models.model_rules),
        "fileset": Verbs(
            filesets.create_fileset, filesets.update_fileset, filesets.delete_fileset, filesets.fileset_rules
        ),
        "adapter": Verbs(
            adapters.create_adapter, adapters.update_adapter, adapters.delete_adapter, adapters.adapter_rules
        ),
        "prompt": Verbs(prompts.create_prompt, prompts.update_prompt, prompts.delete_prompt, prompts.prompt_rules),
        "alias": Verbs(aliases.create_alias, aliases.update_alias, aliases.delete_alias, aliases.alias_rules),
        "webhook": Verbs(
            webhooks.create_webhook, webhooks.update_webhook, webhooks.delete_webhook, webhooks.webhook_rules
        ),
        "platform-secret": Verbs(secrets.create_secret, secrets.update_secret, secrets.delete_secret),
        "model-provider": Verbs(
            providers.create_provider, providers.update_provider, providers.delete_provider, providers.provider_rules
        ),
        "virtual-model": Verbs(
            virtual_models.create_virtual_model,
            virtual_models.update_virtual_model,
            virtual_models.delete_virtual_model,
            virtual_models.virtual_model_rules,
        ),
        "limit": Verbs(limits.create_limit, limits.update_limit, limits.delete_limit, limits.limit_rules),
    }
)
