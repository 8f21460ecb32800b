"""What files cost: bytes up and down beside cp, sha256 and nginx; checkpoints read; specs put into models.

One server awake at a time on one core, the client (curl, huggingface_hub, or this program) on the other. In each round:
a file of new bytes goes up to ours, to nginx, and by cp, sync and sha256; it comes down from both; the Hub's client
fetches it from ours, and curl from nginx, each to the disk; a checkpoint of 100 shards is read for the first time; and
a model is changed 200 times by a fileset that was read before, and 200 times by its description, in turn. A ratio is
made of each round; their median decides.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import time
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

from bench import contestants
from bench.connection import Connection
from bench.load import LoadError
from bench.plain_files import find_nginx, nginx
from bench.records import MODELS_PATH
from bench.required import Figure
from bench.results import Spread, spread
from bench.running import Run, command_line, machine, perform, say
from bench.server import Server
from bench.tables import Table, number, required

_FILESETS = "/apis/files/v2/workspaces/default/filesets"
_MIB = 1 << 20
_SHARDS = 100
_CHANGES = 200
_HUB_PYTHON = Path(__file__).parent.parent / ".venv-models" / "bin" / "python"
_HUB_PROGRAM = """
import sys, time
from huggingface_hub import hf_hub_download
begun = time.perf_counter()
hf_hub_download("default/" + sys.argv[1], "big.bin", cache_dir=sys.argv[2])
print(time.perf_counter() - begun)
"""


class Benchmark(Run):
    """The servers and the samples of one run: by what was measured, one value a round."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        super().__init__(options, home)
        self._size = (256 if self._quick else 1024) * _MIB
        self._numbers = count(1)
        self.samples: dict[str, list[float]] = {}
        recipe = contestants.steelyard(contestants.copy_source(home))
        self._ours = Server(recipe, home / "ours", self._server_core)
        self._dav = _takes_put(home)
        self._nginx = Server(nginx(dav=self._dav), home / "nginx", self._server_core)
        self._file = home / "big.bin"

    @classmethod
    def lacks(cls) -> str | None:
        """Of curl and nginx; wrk is not used."""
        for program, package in (("curl", "curl"), ("nginx", "nginx-light")):
            if not (shutil.which(program) or find_nginx()):
                return f"{program} is missing (Debian: apt-get install {package})"
        return None

    def run(self) -> None:
        """Fills `samples`; a server that fails ends it."""
        try:
            for server in (self._ours, self._nginx):
                server.start()
            with self._file.open("wb") as file:
                for _ in range(self._size // _MIB):
                    file.write(os.urandom(_MIB))
            for turn in range(self._rounds):
                say(f"round {turn + 1} of {self._rounds}")
                name = f"fs-{turn}"
                self._new_bytes()
                self._up(name)
                self._down(name)
                self._hub(name)
                self._shards()
                self._patches()
                self._forget(name)
        finally:
            for server in (self._ours, self._nginx):
                server.stop()

    def _keep(self, what: str, value: float) -> None:
        self.samples.setdefault(what, []).append(value)

    def _alone(self, server: Server) -> None:
        other = self._nginx if server is self._ours else self._ours
        other.freeze()
        server.thaw()

    def _new_bytes(self) -> None:
        """Bytes that no server has: what is kept by its content would cost nothing the second time."""
        with self._file.open("r+b") as file:
            file.write(os.urandom(4096))

    def _curl(self, *arguments: str) -> float:
        command = ["taskset", "-c", str(self._client_core), "curl", "--silent", "--fail", "--noproxy", "*", *arguments]
        begun = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        seconds = time.perf_counter() - begun
        if done.returncode:
            raise LoadError(f"curl {arguments[-1]}: {done.stderr.decode()[:200]}")
        return seconds

    def _up(self, name: str) -> None:
        os.sync()
        copy = self._home / "copy.bin"
        begun = time.perf_counter()
        shutil.copyfile(self._file, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
            hashlib.file_digest(file, "sha256")
        self._keep("up: cp + fsync + sha256, s", time.perf_counter() - begun)
        copy.unlink()
        self._alone(self._ours)
        _ask(self._ours, "POST", _FILESETS, {"name": name})
        self._keep("up: ours, s", self._curl("-T", str(self._file), f"{self._ours.url}{_FILESETS}/{name}/-/big.bin"))
        if self._dav:
            self._alone(self._nginx)
            self._keep("up: nginx, s", self._curl("-T", str(self._file), f"{self._nginx.url}/{name}.bin"))
        else:
            shutil.copyfile(self._file, self._nginx.data / "files" / f"{name}.bin")

    def _down(self, name: str) -> None:
        for what, server, path in (
            ("down: ours, s", self._ours, f"{_FILESETS}/{name}/-/big.bin"),
            ("down: nginx, s", self._nginx, f"/{name}.bin"),
        ):
            self._alone(server)
            self._keep(what, self._curl("-o", os.devnull, f"{server.url}{path}"))

    def _hub(self, name: str) -> None:
        target = self._home / "fetched.bin"
        self._alone(self._nginx)
        self._keep("to disk: curl from nginx, s", self._curl("-o", str(target), f"{self._nginx.url}/{name}.bin"))
        target.unlink()
        self._alone(self._ours)
        url = f"{self._ours.url}{_FILESETS}/{name}/-/big.bin"
        self._keep("to disk: curl from ours, s", self._curl("-o", str(target), url))
        target.unlink()
        if not _HUB_PYTHON.exists():
            return
        cache = self._home / "cache"
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"{self._ours.url}/apis/files/v2/hf",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        command = ["taskset", "-c", str(self._client_core), str(_HUB_PYTHON), "-c", _HUB_PROGRAM, name, str(cache)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        shutil.rmtree(cache, ignore_errors=True)
        if done.returncode:
            raise LoadError(f"huggingface_hub: {done.stderr[-300:]}")
        self._keep("to disk: huggingface_hub from ours, s", float(done.stdout))

    def _shards(self) -> None:
        """A model of 100 shards, each with a header of its own: registered, which reads it, and read again."""
        name = f"shards-{next(self._numbers)}"
        _ask(self._ours, "POST", _FILESETS, {"name": name})
        connection = Connection(self._ours)
        # Another width each time: what has been read once is not read again.
        for path, content in _sharded(64 + 8 * next(self._numbers)):
            connection.put(f"{_FILESETS}/{name}/-/{path}", content)
        connection.ask("POST", MODELS_PATH, {"name": f"warm-{name}"})
        begun = time.perf_counter()
        answer = json.loads(connection.ask("POST", MODELS_PATH, {"name": name, "fileset": name}))
        self._keep("100 shards read for the first time, ms", (time.perf_counter() - begun) * 1000)
        if not answer["spec"] or answer["spec"]["num_layers"] != _SHARDS:
            raise LoadError("the checkpoint of 100 shards was not read")
        begun = time.perf_counter()
        connection.ask("POST", MODELS_PATH, {"name": f"again-{name}", "fileset": name})
        self._keep("100 shards, read before, ms", (time.perf_counter() - begun) * 1000)
        connection.close()

    def _patches(self) -> None:
        """By fileset and by description in turn, so that both meet the same machine."""
        number = next(self._numbers)
        connection = Connection(self._ours)
        names = [f"small-{number}-{which}" for which in range(2)]
        for which, name in enumerate(names):
            _ask(self._ours, "POST", _FILESETS, {"name": name})
            for path, content in _sharded(32 + 8 * which, shards=2):
                connection.put(f"{_FILESETS}/{name}/-/{path}", content)
            connection.ask("POST", MODELS_PATH, {"name": f"of-{name}", "fileset": name})
        model = f"{MODELS_PATH}/of-{names[0]}"
        by_fileset: list[float] = []
        by_description: list[float] = []
        for turn in range(_CHANGES):
            for times, body in (
                (by_fileset, {"fileset": names[(turn + 1) % 2]}),
                (by_description, {"description": f"change {turn}"}),
            ):
                begun = time.perf_counter()
                connection.ask("PATCH", model, body)
                times.append(time.perf_counter() - begun)
        connection.close()
        self._keep("PATCH of the fileset, ms", statistics.median(by_fileset) * 1000)
        self._keep("PATCH of the description, ms", statistics.median(by_description) * 1000)

    def _forget(self, name: str) -> None:
        _ask(self._ours, "DELETE", f"{_FILESETS}/{name}?purge=true")
        (self._nginx.data / "files" / f"{name}.bin").unlink(missing_ok=True)

    def ratio(self, over: str, under: str) -> Spread | None:
        """The spread of one over the other, round by round."""
        pairs = zip(self.samples.get(over, []), self.samples.get(under, []), strict=False)
        return spread([a / b for a, b in pairs if b > 0])

    def figures(self) -> list[Figure]:
        """What is required: one figure; the others are told as ratios."""
        patch = self.ratio("PATCH of the fileset, ms", "PATCH of the description, ms")
        return [Figure("files", "PATCH that sets a fileset to one that does not", 3, False, "x", patch)]

    def ratios(self) -> Table:
        """Ours to the limits, as rows of a table."""
        rows = [["ratio", "median", "least", "greatest"]]
        for title, over, under in (
            ("up: ours to cp + fsync + sha256", "up: ours, s", "up: cp + fsync + sha256, s"),
            ("up: ours to nginx (no hash, no fsync)", "up: ours, s", "up: nginx, s"),
            ("down: ours to nginx", "down: ours, s", "down: nginx, s"),
            ("to disk: ours to nginx", "to disk: curl from ours, s", "to disk: curl from nginx, s"),
            (
                "huggingface_hub from ours to curl from nginx",
                "to disk: huggingface_hub from ours, s",
                "to disk: curl from nginx, s",
            ),
        ):
            if found := self.ratio(over, under):
                rows.append([title, *(f"{number(value)}x" for value in (found.median, found.low, found.high))])
        return rows

    def tables(self) -> list[tuple[str, Table]]:
        """Samples, ratios and figures, as text."""
        rows = [["measured", "median", "least", "greatest", "rounds"]]
        for what, values in self.samples.items():
            if found := spread(values):
                rows.append([what, *map(number, (found.median, found.low, found.high)), str(found.rounds)])
        return [
            (f"Files: measured ({self._size // _MIB} MiB)", rows),
            ("Files: ratios", self.ratios()),
            ("Files: required figures", required(self.figures())),
        ]

    def ending(self) -> list[str]:
        """The machine."""
        return [f"{machine()}."]


def _ask(server: Server, method: str, path: str, body: Any = None) -> None:
    connection = Connection(server)
    connection.ask(method, path, body)
    connection.close()


def _takes_put(home: Path) -> bool:
    """Whether this nginx was built with WebDAV."""
    probe = subprocess.run([find_nginx() or "nginx", "-V"], capture_output=True, text=True, check=False)
    return "http_dav_module" in probe.stderr


def _sharded(hidden: int, shards: int = _SHARDS) -> list[tuple[str, bytes]]:
    """A Llama with one layer a shard: small tensors, true headers, an index."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": shards,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 32,
        "max_position_embeddings": 64,
        "tie_word_embeddings": False,
    }
    files = [("config.json", json.dumps(config).encode())]
    index: dict[str, str] = {}
    for shard in range(shards):
        prefix = f"model.layers.{shard}"
        tensors = {
            f"{prefix}.input_layernorm.weight": (hidden,),
            f"{prefix}.post_attention_layernorm.weight": (hidden,),
            f"{prefix}.self_attn.q_proj.weight": (hidden, hidden),
            f"{prefix}.self_attn.k_proj.weight": (hidden // 2, hidden),
            f"{prefix}.self_attn.v_proj.weight": (hidden // 2, hidden),
            f"{prefix}.self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}.mlp.gate_proj.weight": (2 * hidden, hidden),
            f"{prefix}.mlp.up_proj.weight": (2 * hidden, hidden),
            f"{prefix}.mlp.down_proj.weight": (hidden, 2 * hidden),
        }
        if shard == 0:
            tensors |= {
                "model.embed_tokens.weight": (32, hidden),
                "model.norm.weight": (hidden,),
                "lm_head.weight": (32, hidden),
            }
        name = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        index |= dict.fromkeys(tensors, name)
        files.append((name, _safetensors(tensors)))
    files.append(("model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": index}).encode()))
    return files


def _safetensors(tensors: dict[str, tuple[int, ...]]) -> bytes:
    header: dict[str, Any] = {}
    end = 0
    for name, shape in tensors.items():
        start, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def main() -> int:
    """Run it; the exit code is that of `perform`."""
    return perform(Benchmark, command_line("files", __doc__, quick="two rounds with 256 MiB").parse_args())


if __name__ == "__main__":
    sys.exit(main())
