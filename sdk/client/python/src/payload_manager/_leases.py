"""What a client holds at the host, and gives back when the last view of it has gone.

Finalizers run at any place of any thread, also where that thread holds a lock of ours. So they only
append to a queue that is made for that (queue.SimpleQueue), and one daemon thread for each client
makes the calls. It ends when the client is gone and nothing is held any more.
"""

from __future__ import annotations

import atexit
import enum
import logging
import math
import queue
import threading
import time
import weakref
from typing import Any, Callable

from . import _forks
from .errors import Code, PayloadManagerError

log = logging.getLogger("payload_manager")

_CALL_SECONDS = 5.0  # For each call of the thread: a host that hangs must not stop all renewals.
_RETRY_SECONDS = 1.0
_BATCH_MAX = 500
_END_SECONDS = 1.0  # At the end of the interpreter: a host that hangs must not hold it up.


class Holding(enum.Enum):
    LEASE = "lease"
    ALLOCATION = "allocation"


class Held:
    """One lease, or one allocation that was not committed."""

    def __init__(self, kind: Holding, id: bytes, duration_ms: int = 0) -> None:
        self.kind = kind
        self.id = id
        self.is_lost = False  # The host says that it has ended, or did not answer until then.
        # Set by close() while it lets go, so that it ends the lease itself, and at once.
        self.is_closing = False
        self.is_dead = False
        self.made_in = _forks.generation()
        self.duration_ms = duration_ms
        self.due = self.ends = math.inf
        self.renewed(duration_ms, time.monotonic())

    def renewed(self, duration_ms: int, asked_at: float) -> None:
        if self.kind is Holding.LEASE and duration_ms > 0:
            self.due = asked_at + duration_ms / 2000
            self.ends = asked_at + duration_ms / 1000

    def failed(self, error: PayloadManagerError) -> bool:
        """Notes that a renewal failed; true when the lease is over."""
        now = time.monotonic()
        is_refused = error.code in (Code.NOT_FOUND, Code.FAILED_PRECONDITION)
        if not is_refused and now < self.ends:
            self.due = min(now + _RETRY_SECONDS, self.ends)
            return False
        self.is_lost = True
        log.warning(
            "a lease has ended under a view that is still in use: %s; the bytes may change", error
        )
        return True


def watch(keeper: Any, memory: object, held: Held) -> None:
    """From now on the end of `memory`, which is the end of its last view, ends `held`."""
    finalizer = weakref.finalize(memory, _on_end, keeper, held)
    finalizer.atexit = False  # The connection gives back all at once then.
    keeper.add(held)


def _on_end(keeper: Any, held: Held) -> None:
    if held.made_in != _forks.generation():
        return  # The parent's.
    held.is_dead = True
    if not held.is_closing:
        keeper.ended(held)


class Keeper:
    """Renews what is held at half of its time, and gives back what has ended. Any thread."""

    def __init__(
        self,
        renew: Callable[[Held, float], int],
        release: Callable[[list[Held], float], None],
    ) -> None:
        self._renew = renew
        self._release = release
        self._ended: queue.SimpleQueue[Held | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # Of what follows, except that `_held` is a dict of CPython.
        self._held: dict[bytes, Held] = {}
        self._is_running = False
        self._is_closing = False
        self._next_due = math.inf
        _keepers.add(self)

    def add(self, held: Held) -> None:
        with self._lock:
            self._held[held.id] = held
            if held.due < self._next_due:
                self._next_due = held.due
                self._ended.put(None)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="payload-manager", daemon=True).start()

    def ended(self, held: Held) -> None:
        """To be given back, by the thread. From finalizers: takes no lock."""
        self._ended.put(held)

    def forget(self, held: Held) -> None:
        """It was given back already."""
        self._held.pop(held.id, None)

    def close(self) -> None:
        """Nobody will add more: the thread ends when all has. From finalizers: takes no lock."""
        self._is_closing = True
        self._ended.put(None)

    def give_back_all(self, seconds: float) -> None:
        """At the interpreter's end: what is still held, within so much time."""
        rest = [held for held in self._held.values() if held.made_in == _forks.generation()]
        self._held.clear()
        self._give_back(rest, seconds)

    def _run(self) -> None:
        while self._held or not self._is_closing:
            ended = self._take(self._next_due - time.monotonic())
            self._give_back([held for held in ended if self._held.pop(held.id, None)])
            if time.monotonic() >= self._next_due:
                self._renew_due()

    def _take(self, seconds: float) -> list[Held]:
        """Waits for the first, then takes all that are there."""
        taken: list[Held] = []
        try:
            timeout = None if seconds == math.inf else min(max(seconds, 0.0), 3600.0)
            item = self._ended.get(timeout=timeout)
            while True:
                if item is not None:
                    taken.append(item)
                item = self._ended.get_nowait()
        except queue.Empty:
            return taken

    def _give_back(self, ended: list[Held], seconds: float = _CALL_SECONDS) -> None:
        for start in range(0, len(ended), _BATCH_MAX):
            try:
                self._release(ended[start : start + _BATCH_MAX], seconds)
            except PayloadManagerError as error:
                log.debug("not given back, so it ends by itself: %s", error)

    def _renew_due(self) -> None:
        now = time.monotonic()
        for held in list(self._held.values()):
            if held.due > now or held.is_dead:
                continue
            asked_at = time.monotonic()
            try:
                held.renewed(self._renew(held, _CALL_SECONDS), asked_at)
            except PayloadManagerError as error:
                if held.failed(error):
                    self._held.pop(held.id, None)
                elif error.code is Code.DEADLINE_EXCEEDED:
                    break  # The others are still due; first see who wants to give back.
        with self._lock:
            dues = [held.due for held in list(self._held.values()) if not held.is_dead]
            self._next_due = min(dues, default=math.inf)


_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


@atexit.register
def _give_back_all() -> None:
    until = time.monotonic() + _END_SECONDS
    for keeper in list(_keepers):
        keeper.give_back_all(max(until - time.monotonic(), 0.0))
