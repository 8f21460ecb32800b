"""Which places files may be taken from, and how patiently they are asked: values made of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from steelyard.errors import BadReference, OutboundRefused


@dataclass(frozen=True, slots=True)
class SourceRules:
    """The hosts and folders that the settings allow; times are in seconds.

    `attempts` is how often in a row a source may fail without sending anything before it is given up; the first pause
    between two of them is `pause`, and each further one is twice as long.
    """

    hosts: frozenset[str] = frozenset()
    folders: Mapping[str, Path] = field(default_factory=dict)
    attempts: int = 5
    pause: float = 0.5
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0

    def allows(self, url: str) -> bool:
        """Whether the host of `url` is one of the list: by name, or below a `*.example.com`."""
        try:
            host = (urlsplit(url).hostname or "").lower().removesuffix(".")
        except ValueError:
            return False
        steps = host.split(".")[1:]
        above = ("*." + ".".join(steps[number:]) for number in range(len(steps)))
        return bool(host) and (host in self.hosts or any(one in self.hosts for one in above))


def check_written(rules: SourceRules, url: str, field: str) -> None:
    """Raises BadReference if the address that a caller wrote in `field` is of a host that is not allowed."""
    if not rules.allows(url):
        raise BadReference(
            f"{field}: files are not taken from this host; ask for it to be added to the setting files.source_hosts",
            field=field,
        )


def check_hop(rules: SourceRules, url: str) -> None:
    """Raises OutboundRefused if a source sends us on to a host that is not allowed."""
    if not rules.allows(url):
        # Its name is the source's word, and says nothing of our own network.
        host = (urlsplit(url).hostname or "")[:253]
        raise OutboundRefused(f"the source sends us on to {host!r}, which is not in the setting files.source_hosts")
