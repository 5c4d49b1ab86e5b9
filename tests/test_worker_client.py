"""The worker's end: an interruption while it closes still ends the run, and no process is left."""

import psutil
import pytest

from wattbench.harness.worker_client import WorkerClient
from wattbench.results.errors import InterruptedRunError, WattbenchError, WorkerError


@pytest.mark.parametrize(
    ("struck", "expected"),
    [
        (InterruptedRunError("The run was interrupted", "it received SIGTERM"), InterruptedRunError),
        (WorkerError("The worker process died"), None),
    ],
)
def test_an_interruption_while_a_worker_closes_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, struck: WattbenchError, expected: type[WattbenchError] | None
) -> None:
    """Swallowed here, the run would go on, deaf to further signals; a worker that died is no matter."""
    client = WorkerClient()
    pid = client.pid

    def strike(*_: object) -> object:
        raise struck

    monkeypatch.setattr(client, "_exchange", strike)
    if expected is None:
        client.close()
    else:
        with pytest.raises(expected):
            client.close()

    assert not psutil.pid_exists(pid)
