"""A decode step of fixed shapes: recorded as CUDA graphs and replayed, or compiled once for each span of positions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wattbench.backends.torch.compile import CompileError
from wattbench.backends.torch.engine import Setup
from wattbench.backends.torch.forward import COMPILED_FROM, LeanForward
from wattbench.backends.torch.lean import LeanDecoder
from wattbench.models.torch_memory import is_out_of_memory

__all__ = ["Capture", "GraphForward", "called_once", "cuda_capture"]

Capture = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""Records a call and returns what replays it; the result lies at the same place every time."""

CompileStep = Callable[[Callable[..., Any]], Callable[..., Any]]

GRAPHS_MAX = 16
SPAN_STEP = 256
"""Graphs have fixed shapes: one for each so many positions of context, so that a step reads few empty ones."""

WARM_UPS = 3
"""Executions before a recording, as PyTorch's notes on CUDA graphs ask for: libraries allocate in the first ones."""


class GraphForward:
    """The lean decoder with its decode step as recorded graphs for the full batch; all else goes call by call.

    Tokens and the position are buffers on the device. Attention reads the positions of a graph's span and masks those
    that are not there yet. `compile_step` compiles the step before it is recorded (None: as it is); with `symbolic` one
    compilation serves every span, without it each span has its own.
    """

    def __init__(
        self, setup: Setup, capture: Capture, compile_step: CompileStep | None, *, symbolic: bool = True
    ) -> None:
        self._plain = LeanForward(setup)
        self._lean: LeanDecoder = setup.module
        self._capture = capture
        self._ids = torch.zeros(setup.requests, 1, dtype=torch.int64, device=setup.device)
        self._position = torch.zeros(1, dtype=torch.int64, device=setup.device)
        self._step = self._traced if compile_step is None else compile_step(self._traced)
        self._symbolic = symbolic
        self._spans = span_ends(setup.context)
        self._graphs: dict[int, Callable[[], Tensor]] = {}

    def reset(self) -> None:
        """Record every graph that is missing, which only the first execution finds so.

        Raises CompileError when the device refuses a recording.
        """
        for end in self._spans:
            if end not in self._graphs:
                self._graphs[end] = self._recorded(end)

    def logits(self, ids: Tensor, position: int) -> Tensor:
        """Return the logits of the last new position."""
        if ids.shape != self._ids.shape or position < COMPILED_FROM:
            return self._plain.logits(ids, position)
        self._ids.copy_(ids)
        self._position.fill_(position)
        end = next(end for end in self._spans if end > position)
        return self._graphs[end]()

    def state(self) -> tuple[Tensor, ...]:
        """Return the cache's buffers, the positions, and the buffers of token and position."""
        return (*self._plain.state(), self._position, self._ids)

    def _recorded(self, end: int) -> Callable[[], Tensor]:
        try:
            return self._capture(self._call(end))
        except RuntimeError as exc:
            from torch._dynamo.exc import TorchDynamoException  # here: importing it takes as long as torch itself

            refused = self._symbolic  # where each span is compiled nothing is recorded: it is the compiler that fails
            if not refused or is_out_of_memory(exc) or isinstance(exc, TorchDynamoException):
                raise
            lines = str(exc).strip().splitlines()
            why = f"a graph of {end} positions could not be recorded: {lines[0] if lines else type(exc).__name__}"
            raise CompileError(why[:300]) from exc

    def _call(self, end: int) -> Callable[[], Tensor]:
        span = self._plain._positions[:end]
        if self._symbolic:
            torch._dynamo.mark_dynamic(span, 0)
        return lambda: self._step(self._ids, self._position, span, self._plain._keys, self._plain._values)

    def _traced(self, ids: Tensor, position: Tensor, span: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        mask = (span <= position).view(1, 1, 1, -1)
        found: Tensor = self._lean(ids, position, span, keys, values, mask, few=True)
        return found


def span_ends(context: int) -> tuple[int, ...]:
    """Return the spans that graphs are recorded for: multiples of a step, and the whole context."""
    step = SPAN_STEP * -(-context // (SPAN_STEP * GRAPHS_MAX))
    return (*range(step, context, step), context)


def called_once(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Execute a call, which compiles it, and return it: what stands for a recording where nothing is recorded."""
    call()
    return call


def cuda_capture(device: torch.device) -> Capture:
    """Return the recorder of CUDA graphs for a device; they share one pool of memory.

    Follows https://docs.pytorch.org/docs/stable/notes/cuda.html, "CUDA graphs".
    """
    pool = torch.cuda.graph_pool_handle()

    def capture(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                call()
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=side):  # its own default stream may be another device's
            found = call()

        def replay() -> Tensor:
            graph.replay()
            return found

        return replay

    return capture
