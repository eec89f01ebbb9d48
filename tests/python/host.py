"""A pm-host of the build as a child of the test, with directories and shared memory of its own."""

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import payload_manager

BUILD = pathlib.Path(os.environ.get("PM_BUILD_DIR", "build/test")).resolve()
PLUGINS = BUILD / "lib/payload-manager"
HAS_LOCAL = (PLUGINS / "frontend-local.so").is_file()
_numbers = itertools.count(1)

CONFIG = """
[host]
state_directory = "{directory}/state"
runtime_directory = "{directory}/run"
drain_ms_max = 500
[plugins]
directories = ["{plugins}"]
[limits]
allocate_wait_ms_max = 1000
[recovery]
orphan_grace_ms = 200
quarantine_ms = 200
[repository]
plugin = "org.payload-manager.repository-sqlite"
[repository.config]
path = "${{state_directory}}/catalog.sqlite"
[[tier]]
name = "shm"
plugin = "org.payload-manager.tier-shm"
number = 2
rank = 20
high_watermark_percent = 100
low_watermark_percent = 95
[tier.config]
capacity_bytes = {capacity_bytes}
slab_bytes = {slab_bytes}
prefix = "{prefix}"
[[tier]]
name = "disk"
plugin = "org.payload-manager.tier-disk"
number = 3
rank = 30
[tier.config]
root = "${{state_directory}}/payloads"
[[tier]]
name = "void"
plugin = "org.payload-manager.tier-void"
number = 5
rank = 50
[[frontend]]
name = "grpc"
plugin = "org.payload-manager.frontend-grpc"
[frontend.config]
listen = ["unix:{directory}/run/pm.sock"]
"""

LOCAL_CONFIG = """
[[frontend]]
name = "local"
plugin = "org.payload-manager.frontend-local"
[frontend.config]
listen = "unix:{directory}/run/local.sock"
"""


class Host:
    def __init__(self, capacity_bytes=64 << 20, slab_bytes=16 << 20):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pm-python-"))
        self.prefix = f"pmpy-{os.getpid()}-{next(_numbers)}"
        self.socket = self.directory / "run/pm.sock"
        self.local_socket = self.directory / "run/local.sock"
        self.log = self.directory / "log"
        self.process = None
        text = CONFIG + (LOCAL_CONFIG if HAS_LOCAL else "")
        (self.directory / "host.toml").write_text(
            text.format(directory=self.directory, plugins=PLUGINS, prefix=self.prefix,
                        capacity_bytes=capacity_bytes, slab_bytes=slab_bytes))

    @property
    def address(self):
        return f"unix:{self.socket}"

    def start(self):
        with open(self.log, "ab") as log:
            # It ends with the test, also when that is killed.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", BUILD / "bin/pm-host",
                 "--config", self.directory / "host.toml"], stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"pm-host ended: {self.log.read_text()}")
            try:
                with payload_manager.Client(self.address, deadline_seconds=2) as client:
                    client.stats()
                return self
            except payload_manager.UnavailableError:
                time.sleep(0.02)
        raise RuntimeError("pm-host did not answer within 60 s")

    def kill(self):
        """SIGKILL, and its end."""
        self._signal(signal.SIGKILL)

    def pause(self):
        """Returns when it has stopped, which is some time after the signal."""
        self.process.send_signal(signal.SIGSTOP)
        status = pathlib.Path(f"/proc/{self.process.pid}/stat")
        assert eventually(lambda: ") T " in status.read_text())

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def _signal(self, number):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def remove(self):
        self.kill()
        for path in pathlib.Path("/dev/shm").glob(self.prefix + "-*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def segments(self):
        return list(pathlib.Path("/dev/shm").glob(self.prefix + "-*"))


def eventually(condition, seconds=10.0):
    """Asks again every 10 ms until it is so."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
