"""A language-model head that keeps what it computed for the first row, and may force the token that follows."""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["WatchedHead"]

NONE = -1


class WatchedHead(nn.Module):  # type: ignore[misc] # torch is skipped
    """The head, and a record of the logits of row 0 in `seen`, one row a call, until it is full.

    Where `forced` has a token, its logit is then made the largest: greedy choice takes it. All of it is work
    of the device without a question to the host, so that it is the same in a recorded graph; it costs a few passes over
    one row of logits a step.
    """

    head: Any  # any: a linear layer, or what stands for one
    seen: Tensor
    forced: Tensor
    _call: Tensor
    _vocabulary: Tensor

    def __init__(self, head: nn.Module, rows: int) -> None:
        super().__init__()
        self.head = head
        weight: Tensor = self.head.weight
        device, vocabulary = weight.device, weight.shape[0]
        self.register_buffer("seen", torch.zeros(rows, vocabulary, device=device), persistent=False)
        self.register_buffer("forced", torch.full((rows,), NONE, device=device), persistent=False)
        self.register_buffer("_call", torch.zeros(1, dtype=torch.int64, device=device), persistent=False)
        self.register_buffer("_vocabulary", torch.arange(vocabulary, device=device), persistent=False)

    @property
    def weight(self) -> Any:
        """Return the head's weights, (vocabulary, hidden)."""
        return self.head.weight

    def force(self, tokens: list[int]) -> None:
        """Start the record anew; these tokens follow one another from the next call on. Raises ValueError for many."""
        if len(tokens) >= len(self.forced):
            raise ValueError(f"at most {len(self.forced) - 1} tokens can be forced, not {len(tokens)}")
        self.forced.fill_(NONE)
        self.forced[: len(tokens)] = torch.tensor(tokens, dtype=torch.int64, device=self.forced.device)
        self._call.zero_()

    def forward(self, x: Tensor) -> Tensor:  # (1, rows, hidden)
        """Return the logits, (1, rows, vocabulary)."""
        logits: Tensor = self.head(x)
        if logits.shape[1] == 0:  # a step of prompts that go on in the next one
            return logits
        first = logits[:, 0]  # (1, vocabulary)
        self.seen.index_copy_(0, self._call, first.to(self.seen.dtype))
        token = self.forced.index_select(0, self._call)
        first.masked_fill_(self._vocabulary.eq(token).unsqueeze(0), torch.finfo(first.dtype).max)
        self._call.add_(1).clamp_max_(len(self.seen) - 1)
        return logits
