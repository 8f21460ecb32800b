"""Opens the outside world of the actions: database, files, keys."""

import logging
from time import time
from uuid import uuid4

from steelyard.actions.context import Context
from steelyard.actions.secrets import secret_reader
from steelyard.app.rules import blobs_of, keys_of, outbound_of, policy_of, sources_of
from steelyard.auth.master_keys import LOCAL, open_master_keys
from steelyard.auth.vault import Vault
from steelyard.blobs.staging import LocalStaging
from steelyard.outbound.transport import HttpTransport
from steelyard.records.identity import record_id, rising_clock, time_ago
from steelyard.settings import Settings
from steelyard.sources.sources import ConfiguredSources
from steelyard.store.data_folder import DataFolder
from steelyard.store.sqlite import open_store

_log = logging.getLogger("steelyard")


def open_context(settings: Settings, folder: DataFolder) -> Context:
    """The outside world of the actions, in a data folder that is ours. Raises StartupError."""
    key_file, database = folder.path / LOCAL, folder.path / "steelyard.db"
    sources = keys_of(settings, folder)
    if sources.local and database.exists() and not key_file.exists():
        _log.warning(
            "%s is missing and made anew: secrets that were sealed with the old one cannot be opened", key_file
        )
    store = open_store(database, settings.store.readers, history=settings.history.enabled)
    vault = Vault(open_master_keys(sources))
    transport = HttpTransport(outbound_of(settings), ca_bundle=settings.outbound.ca_bundle)
    return Context(
        store=store,
        vault=vault,
        blobs=blobs_of(settings, folder),
        staging=LocalStaging(folder.path / "uploads"),
        sources=ConfiguredSources(transport, sources_of(settings), secret_reader(store, vault)),
        policy=policy_of(settings),
        now=rising_clock(time),
        ago=time_ago(time),
        new_id=lambda prefix: record_id(prefix, uuid4().bytes),
        outbound=outbound_of(settings),
    )
