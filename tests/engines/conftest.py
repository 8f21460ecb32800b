"""A gateway that may ask engines of this machine, and a model of a few random weights."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.servers import Server, running

_SENTENCE = "weigh the goods at gate and then let them pass with a paper that says how much they were"
WORDS = tuple(_SENTENCE.split())
_TEMPLATE = "{% for m in messages %}<s> {{ m.role }} {{ m.content }} </s>{% endfor %}<s> assistant"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may ask engines of this machine."""
    with running(tmp_path_factory.mktemp("gate") / "data", "--set", "outbound.allow_private=true") as server:
        yield server


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama that says words in an order of its own, the same each time."""
    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = {word: number for number, word in enumerate(("<unk>", "<s>", "</s>", *WORDS))}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=_TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=len(vocabulary), **sizes, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[:3] = 0  # it never stops by itself: some word is always likelier
    model.save_pretrained(folder)
    return folder


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def engine(command: list[str], environ: Mapping[str, str], log: Path, url: str, seconds: float = 120) -> Iterator[str]:
    """An engine for the length of a `with`, from when it answers `url`."""
    with log.open("wb") as written:
        process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=written, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + seconds
        while not _answers(url):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < end, log.read_text()[-4000:]
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
