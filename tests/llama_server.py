"""llama.cpp's own HTTP server, of the wheel xllamacpp, in a process of its own; ends when its standard input ends.

Arguments: the GGUF file, the number of requests at once, the context of all of them, and perhaps a key that it wants.
Writes its address when it answers.
"""

import importlib
import os
import sys
from typing import Any


def main() -> None:
    """Serve until nobody listens any more."""
    xllamacpp: Any = importlib.import_module("xllamacpp")  # any: a module in C
    model, parallel, context, *key = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = int(parallel)
    params.n_ctx = int(context)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = True
    params.verbosity = -1
    if key:
        params.api_keys = key
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # its destructor waits for connections


if __name__ == "__main__":
    main()
