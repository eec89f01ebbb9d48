"""Clients belong to the process that made them.

A forked child has copies of sockets and of locks that threads of the parent held. It can use none
of it, and must not give back what the parent still holds: what it has of clients is kept for ever,
so that no destructor of theirs runs there.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from .errors import ForkedError


class _Guarded(Protocol):
    def forget(self) -> None: ...


_count = 0
_guarded: weakref.WeakSet[_Guarded] = weakref.WeakSet()
_left_alone: list[object] = []


def generation() -> int:
    """How often this process, or one that it comes from, was forked since the import."""
    return _count


def guard(connection: _Guarded) -> None:
    """Lets a forked child call `forget()`, which closes descriptors and tells the host nothing."""
    _guarded.add(connection)


def refuse(made_in: int) -> None:
    if made_in != _count:
        raise ForkedError()


def _after_fork() -> None:
    global _count
    _count += 1
    for connection in list(_guarded):
        _left_alone.append(connection)
        connection.forget()


os.register_at_fork(after_in_child=_after_fork)
