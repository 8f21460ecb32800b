"""Runs llama.cpp's own server: `python llama_server.py MODEL.gguf PORT`."""

import signal
import sys

import xllamacpp


def main(model: str, port: str) -> None:
    """Serves until a signal ends the process."""
    options = xllamacpp.CommonParams()
    options.model.path = model
    options.model_alias = {"tiny.gguf"}
    options.hostnames = ["127.0.0.1"]
    options.port = int(port)
    options.n_ctx, options.n_parallel = 1024, 2
    options.cpuparams.n_threads = 1
    options.warmup = False
    server = xllamacpp.Server(options)
    assert server.listening_address
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
