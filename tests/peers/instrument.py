"""A power meter behind TCP, by sinstruments; run as a program: PORT ANSWERS_FILE.

The file is a JSON object of query and answer, read anew for each query; an answer of null is silence, and "delay_s"
holds every answer back. Commands without a question mark are kept in the file ANSWERS_FILE.told.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import gevent
from sinstruments.simulator import BaseDevice, Server


class PowerMeter(BaseDevice):
    """Answers from the file."""

    answers = Path()

    def handle_message(self, message: bytes) -> bytes | None:
        """Answer one line."""
        query = message.decode().strip()
        if not query.endswith("?") and "?" not in query:
            with Path(f"{self.answers}.told").open("a") as file:
                file.write(f"{query}\n")
            return None
        known = json.loads(self.answers.read_text())
        gevent.sleep(known.get("delay_s", 0))
        answer = known.get(query)
        return None if answer is None else f"{answer}\n".encode()


def main() -> None:
    """Serve until killed."""
    PowerMeter.answers = Path(sys.argv[2])
    registry = {"PowerMeter": SimpleNamespace(load=lambda: PowerMeter)}
    transports = [{"type": "tcp", "url": f"127.0.0.1:{sys.argv[1]}"}]
    Server([{"class": "PowerMeter", "name": "meter", "transports": transports}], registry=registry).serve_forever()


if __name__ == "__main__":
    main()
