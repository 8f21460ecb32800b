"""The first part of a `multipart/form-data` body, as a stream: how forms and some clients send a file."""

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from steelyard.errors import InvalidInput, InvalidParameters


def is_multipart(content_type: bytes | None) -> bool:
    """Whether a body of that type is a form with parts."""
    return (content_type or b"").split(b";", 1)[0].strip().lower() == b"multipart/form-data"


async def first_part(content_type: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes of the first part. What comes after it is read, so that the form is seen to be whole, and dropped.

    Raises InvalidParameters for a type without a boundary, InvalidInput for a body that is no whole form.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise InvalidParameters.of(("header", "Content-Type"), "multipart", "multipart/form-data needs a boundary")
    found = _First()
    try:
        parser = MultipartParser(boundary, {"on_part_end": found.end, "on_part_data": found.data, "on_end": found.stop})
        async for chunk in body:
            parser.write(chunk)
            for piece in found.take():
                yield piece
        parser.finalize()
    except FormParserError as error:
        raise InvalidInput.of(("body",), "multipart", f"the body is not multipart/form-data: {error}") from None
    if not found.parts or not found.whole:
        raise InvalidInput.of(("body",), "multipart", "the form has no part, or ends before its last boundary")


class _First:
    """Takes what the parser finds in the first part."""

    def __init__(self) -> None:
        self.parts = 0
        self.whole = False
        self._pieces: list[bytes] = []

    def data(self, data: bytes, start: int, end: int) -> None:
        if not self.parts:
            self._pieces.append(data[start:end])

    def end(self) -> None:
        self.parts += 1

    def stop(self) -> None:
        self.whole = True

    def take(self) -> list[bytes]:
        """The pieces since it was asked last."""
        pieces, self._pieces = self._pieces, []
        return pieces
