"""A BMC that answers DCMI power readings, by pyghmi; run as a program: PORT STATE_FILE.

The state file holds "watts period_s active stamp" and may be changed while it runs; "none" answers no DCMI.
"""

import struct
import sys
from pathlib import Path
from typing import Any

from pyghmi.ipmi import bmc

USER, PASSWORD = "admin", "s3cret-of-bmc"


class PowerBmc(bmc.Bmc):
    """Answers Get Power Reading (DCMI 1.5, 6.6.1) from the state file, and nothing else."""

    state = Path()

    def handle_raw_request(self, request: dict[str, Any], session: Any) -> None:
        """Answer netfn 0x2c (group extension), command 2 (power reading) of group 0xdc (DCMI)."""
        words = self.state.read_text().split()
        asked = (request["netfn"], request["command"], bytes(request["data"][:2]))
        if asked != (0x2C, 0x02, b"\xdc\x01") or words[0] == "none":
            session.send_ipmi_response(code=0xC1)
            return
        watts, period_s, active, stamp = (int(word) for word in words)
        reading = struct.pack("<4H2IB", watts, watts, watts, watts, stamp, period_s * 1000, 0x40 if active else 0)
        session.send_ipmi_response(data=[0xDC, *reading])


def main() -> None:
    """Serve until killed."""
    PowerBmc.state = Path(sys.argv[2])
    server = PowerBmc({USER: PASSWORD}, port=int(sys.argv[1]), address="127.0.0.1")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.listen()
    while True:
        server.listen(timeout=3600)


if __name__ == "__main__":
    main()
