"""Put on PYTHONPATH by the tests: any Python started there fails when it reaches outside this
machine.
"""

import os
import socket

os.environ["HF_HUB_OFFLINE"] = "1"
_connect = socket.socket.connect


def _guarded(self, address):
    if isinstance(address, tuple) and address[0] not in (
        "127.0.0.1",
        "::1",
        "localhost",
        "0.0.0.0",
    ):
        raise ConnectionRefusedError(
            f"the tests allow no network, and something tried to reach {address}"
        )
    return _connect(self, address)


socket.socket.connect = _guarded
