"""What a request has used, in tokens."""

from typing import NamedTuple


class Usage(NamedTuple):
    """Tokens as the upstream counted them; None where it did not say.

    `input` counts all tokens of the prompt, those of a cache included, as OpenAI counts them; `reasoning` is a part of
    `output`.
    """

    input: int | None = None
    output: int | None = None
    cached_input: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All tokens that are known of."""
        return (self.input or 0) + (self.output or 0)
