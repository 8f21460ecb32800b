"""Pictures, files and sealed thoughts: parts that stand in several dialects."""

import re
from typing import Any

from steelyard.gateway.dialects.form import At, Json, a_dict, a_text, only_known, refuse

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.ASCII)
_URL = frozenset({"url", "detail"})
_FILE = frozenset({"file_data", "file_id", "filename"})
PDF = "application/pdf"

# Our mark before what a reasoning item keeps sealed: by it we know our own items when they come back.
_SIGNED = "steelyard.signature:"
_SEALED = "steelyard.sealed:"


def read_image(value: Any, at: At) -> Json:
    """A picture by its URL, as OpenAI's clients send it: {url, detail}, or the URL alone."""
    image = {"url": value} if isinstance(value, str) else a_dict(value, at)
    only_known(image, _URL, at)
    part = by_url("image", a_text(image.get("url"), (*at, "url")), (*at, "url"))
    if (detail := image.get("detail")) not in (None, "auto"):
        part["detail"] = detail
    return part


def by_url(kind: str, url: str, at: At) -> Json:
    """A part whose bytes stand in a data: URL, or behind an http(s) URL. Raises InvalidInput for other URLs."""
    if url[:5] == "data:":
        # Only the head is looked at: the data may be megabytes.
        found = _DATA_URL.match(url[:200])
        if found is None or "base64" not in found[2].split(";"):
            raise refuse(at, "must be a data: URL in base64, such as data:image/png;base64,...")
        return {"kind": kind, "media_type": found[1].lower(), "data": url[found.end() :], "at": at}
    if not url.startswith(("http://", "https://")):
        raise refuse(at, "must be an http(s) or data: URL")
    return {"kind": kind, "url": url, "at": at}


def url_of(part: Json) -> str:
    """The URL of a picture: its own, or a data: URL."""
    url: str | None = part.get("url")
    return url or f"data:{part['media_type']};base64,{part['data']}"


def read_file(file: Json, at: At) -> Json:
    """A file as OpenAI's clients send it: its bytes in a data: URL, a URL, never the id of a stored one."""
    only_known(file, _FILE, at)
    if file.get("file_id"):
        raise refuse((*at, "file_id"), "the upstream does not have this file; send its bytes as `file_data`")
    data = a_text(file.get("file_data"), (*at, "file_data"))
    if data[:5] != "data:":
        data = f"data:{PDF};base64,{data}"
    part = by_url("file", data, (*at, "file_data"))
    if name := file.get("filename"):
        part["name"] = name
    return part


def write_chat_file(part: Json) -> Json:
    """A file for a chat upstream, which takes bytes but no URLs."""
    if "url" in part:
        raise refuse(part["at"], "the upstream's API takes no files by URL; send the bytes in base64")
    if "text" in part:
        title = part.get("name")
        return {"type": "text", "text": f"{title}\n\n{part['text']}" if title else part["text"]}
    file = {"file_data": f"data:{part['media_type']};base64,{part['data']}", "filename": part.get("name") or "file.pdf"}
    return {"type": "file", "file": file}


def read_thinking(value: Any, at: At) -> Json:
    """A thinking block of Anthropic's, which OpenAI's clients bring back as they were given it."""
    block = a_dict(value, at)
    if block.get("type") == "redacted_thinking":
        return {"kind": "reasoning", "data": a_text(block.get("data"), (*at, "data")), "at": at}
    text = a_text(block.get("thinking"), (*at, "thinking"))
    return {"kind": "reasoning", "text": text, "signature": a_text(block.get("signature", ""), at), "at": at}


def thinking_block(part: Json) -> Json:
    """The thinking block of Anthropic's for thoughts."""
    if "data" in part:
        return {"type": "redacted_thinking", "data": part["data"]}
    return {"type": "thinking", "thinking": part["text"], "signature": part["signature"]}


def seal(part: Json) -> str | None:
    """What a reasoning item of the responses API carries as its `encrypted_content`; None where nothing is sealed."""
    if "data" in part:
        return _SEALED + str(part["data"])
    return _SIGNED + str(part["signature"]) if part.get("signature") else None


def unseal(content: str) -> Json:
    """The signature or the sealed data in an `encrypted_content`; nothing where it is not of our making."""
    if content.startswith(_SIGNED):
        return {"signature": content[len(_SIGNED) :]}
    if content.startswith(_SEALED):
        return {"data": content[len(_SEALED) :]}
    return {}
