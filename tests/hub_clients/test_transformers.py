"""A model and a tokenizer made here are pushed by one process, and pulled and run by another with an empty cache."""

import json

import pytest

from tests.hub_clients.conftest import Script

PUSH = """
import json, sys
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.manual_seed(0)
torch.set_num_threads(1)
words = {word: number for number, word in enumerate(["<unk>", "weigh", "the", "goods", "at", "gate"])}
plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>")
tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
config = LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
model = LlamaForCausalLM(config).eval()
model.push_to_hub(sys.argv[1], max_shard_size=sys.argv[2])
tokenizer.push_to_hub(sys.argv[1])
tokens = tokenizer("weigh the goods at the gate", return_tensors="pt")
with torch.no_grad():
    print(json.dumps([tokens["input_ids"].tolist(), model(tokens["input_ids"]).logits.tolist()]))
"""
PULL = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(1)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
assert tokenizer.apply_chat_template([{"role": "user", "content": "weigh"}], tokenize=False) == "weigh"
tokens = tokenizer("weigh the goods at the gate", return_tensors="pt")
with torch.no_grad():
    print(json.dumps([tokens["input_ids"].tolist(), model(tokens["input_ids"]).logits.tolist()]))
"""


@pytest.mark.parametrize("disable_xet", ["0", "1"], ids=["xet", "lfs"])
@pytest.mark.parametrize("shard", ["5GB", "100KB"], ids=["whole", "sharded"])
def test_the_same_logits_come_back(script: Script, workspace: str, disable_xet: str, shard: str) -> None:
    repo = f"{workspace}/tiny-llama"

    pushed = script(PUSH, repo, shard, HF_HUB_DISABLE_XET=disable_xet)
    pulled = script(PULL, repo)

    assert json.loads(pulled.splitlines()[-1]) == json.loads(pushed.splitlines()[-1])


def test_functions_of_the_library_take_the_endpoint_from_the_environment(script: Script, workspace: str) -> None:
    text = """
import sys
from pathlib import Path
from huggingface_hub import HfFileSystem, create_repo, hf_hub_download, snapshot_download, upload_file
repo = create_repo(sys.argv[1]).repo_id
upload_file(path_or_fileobj=b"text", path_in_repo="a.txt", repo_id=repo)
assert Path(hf_hub_download(repo, "a.txt")).read_bytes() == b"text"
assert (Path(snapshot_download(repo)) / "a.txt").read_bytes() == b"text"
assert HfFileSystem().cat_file(f"{repo}/a.txt") == b"text"
print("done")
"""
    assert script(text, f"{workspace}/by-environment").endswith("done\n")
