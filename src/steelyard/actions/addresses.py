"""Checks of the addresses that records hold, when they are written. They are checked again when they are used."""

from steelyard.actions.context import Context
from steelyard.errors import InvalidInput, OutboundRefused
from steelyard.outbound.policy import check_url


def require_allowed(context: Context, url: str, place: tuple[str | int, ...]) -> None:
    """Raises InvalidInput, which names the setting, for a URL that the server may not send requests to."""
    try:
        check_url(context.outbound, url)
    except OutboundRefused as refused:
        raise InvalidInput.of(place, refused.code, refused.message) from None
