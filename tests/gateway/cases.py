"""The faults of upstreams as tables: what each does, and what a client then sees."""

from tests.gateway import faults
from tests.gateway.replies import Reply, json_reply
from tests.gateway.upstreams import Behaviour

STATUSES = [(number, number) for number in (400, 408, 409, 413, 418, 422, 429, 500, 501, 502, 503, 504, 529)]
OURS = [(number, 502) for number in (401, 403, 404)]

# What the upstream does, the status that the client sees, and a word of the reason.
REFUSED: list[tuple[Behaviour, int, str]] = [
    (faults.RESET, 502, "ended the connection"),
    (faults.NO_ANSWER, 502, "ended the connection"),
    (faults.STALL, 504, "in time"),
    (faults.NOT_HTTP, 502, "not HTTP"),
    (faults.HUGE_HEADER, 502, "not HTTP"),
    (faults.ENDLESS_HEADERS, 502, "not HTTP"),
    (faults.BAD_CHUNK_SIZE, 502, "not HTTP"),
    (faults.HTML, 502, "upstream"),
    (faults.redirecting("http://127.0.0.1:1/v1/chat/completions"), 502, "307"),
    (faults.EARLY, 413, "too large"),
    *((faults.failing(said), shown, "engine trouble") for said, shown in STATUSES + OURS),
]
BROKEN_WHOLE: list[tuple[Behaviour, int, str]] = [
    (faults.CHUNK_WITHOUT_END, 502, "upstream"),
    (faults.NO_LAST_CHUNK, 502, "broke off"),
    (faults.LENGTH_TOO_LONG, 502, "broke off"),
    (faults.LENGTH_TOO_SHORT, 502, "JSON"),
    (faults.BAD_JSON, 502, "JSON"),
    (faults.cut(0), 502, "ended the connection"),
    (faults.cut(30), 502, "broke off"),
    (faults.endless("endless body", b"HTTP/1.1 200 OK\r\n\r\n", b"[" * 65536), 502, "larger"),
    (faults.reply(json_reply({"error": {"message": "no"}})), 502, "dialect"),
    (faults.reply(json_reply([1])), 502, "dialect"),
    (faults.reply(Reply(204)), 502, "upstream"),
    (
        faults.reply(Reply(200, (("content-type", "application/json"), ("content-encoding", "br")), (b"xx",))),
        502,
        "upstream",
    ),
]
# Odd, but not wrong.
SOUND: list[Behaviour] = [
    faults.GZIP,
    faults.CONTINUE,
    faults.ENDS_WITH_CONNECTION,
    faults.split_chunks(1),
    faults.split_chunks(7),
    faults.late(0.2),
]
SOUND_STREAMS: list[Behaviour] = [*SOUND, faults.NAMED_EVENTS, faults.DONE_TWICE, faults.dripping(0.0005, 5)]
