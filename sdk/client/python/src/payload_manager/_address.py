"""Where a host listens, and which transport an address asks for."""

from __future__ import annotations

import os

_BELOW_RUNTIME = "payload-manager/payload-manager.sock"
LOCAL = "local:"


def default_address() -> str:
    """$PM_ADDRESS; or the socket of this user's own host, where there is one; or the machine's."""
    named = os.environ.get("PM_ADDRESS", "")
    if named:
        return named
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        socket = os.path.join(runtime, _BELOW_RUNTIME)
        if os.path.exists(socket):
            return "unix:" + socket
    return "unix:/run/" + _BELOW_RUNTIME
