"""Ordered logs of payload ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, AsyncIterator, Iterable, Protocol, TypeVar

from . import _requests
from ._requests import Call, Item, StreamName
from .types import IdLike, StreamEntry

if TYPE_CHECKING:
    from .client import Replies

T = TypeVar("T")


class _Runs(Protocol):
    def run(self, call: Call[T]) -> T: ...

    def stream(self, call: Call[T]) -> Replies[T]: ...


class _RunsAsync(Protocol):
    async def run(self, call: Call[T]) -> T: ...

    def stream(self, call: Call[T]) -> AsyncIterator[T]: ...


def items_of(items: IdLike | Item | Iterable[IdLike | Item]) -> list[Item]:
    """One or many, with or without their times and tags."""
    if isinstance(items, Item) or not _is_many(items):
        items = [items]  # type: ignore[list-item]
    return [each if isinstance(each, Item) else Item(each) for each in items]  # type: ignore


def _is_many(items: object) -> bool:
    return not isinstance(items, (str, bytes)) and hasattr(items, "__iter__")


class Stream:
    """One stream, by its name; says nothing of whether it is there."""

    def __init__(self, connection: _Runs, name: StreamName) -> None:
        self._connection = connection
        self._name = name

    def create(self, *, max_entries: int = 0, max_age_sec: int = 0) -> Stream:
        """AlreadyExistsError when it is there. 0: keeps all."""
        self._connection.run(_requests.create_stream(self._name, max_entries, max_age_sec))
        return self

    def delete(self) -> None:
        self._connection.run(_requests.delete_stream(self._name))

    def append(
        self, items: IdLike | Item | Iterable[IdLike | Item], *, request_id: str = ""
    ) -> range:
        """Committed payloads, all or none; returns their offsets."""
        return self._connection.run(_requests.append(self._name, items_of(items), request_id))

    def read(self, start: int = 0, *, max_entries: int = 0) -> list[StreamEntry]:
        return self._connection.run(_requests.read_stream(self._name, start, max_entries))

    def subscribe(
        self, start: int | str = "beginning", *, max_inflight: int = 0
    ) -> Replies[StreamEntry]:
        """Every entry from `start` on (an offset, "beginning" or "latest"), also those to come.

        An iterator that ends with an error only: with NotFoundError when the stream is deleted.
        Its close(), a `with` block around it, or its end unsubscribes.
        """
        return self._connection.stream(_requests.subscribe(self._name, start, max_inflight))

    def commit(self, group: str, offset: int, *, allow_rewind: bool = False) -> None:
        """Notes how far a group of consumers has come."""
        call = _requests.commit_offset(self._name, group, offset, allow_rewind)
        self._connection.run(call)

    def committed(self, group: str) -> int | None:
        """None: the group has committed nothing."""
        return self._connection.run(_requests.committed_offset(self._name, group))


class AsyncStream:
    """The same for AsyncClient."""

    def __init__(self, connection: _RunsAsync, name: StreamName) -> None:
        self._connection = connection
        self._name = name

    async def create(self, *, max_entries: int = 0, max_age_sec: int = 0) -> AsyncStream:
        call = _requests.create_stream(self._name, max_entries, max_age_sec)
        await self._connection.run(call)
        return self

    async def delete(self) -> None:
        await self._connection.run(_requests.delete_stream(self._name))

    async def append(
        self, items: IdLike | Item | Iterable[IdLike | Item], *, request_id: str = ""
    ) -> range:
        call = _requests.append(self._name, items_of(items), request_id)
        return await self._connection.run(call)

    async def read(self, start: int = 0, *, max_entries: int = 0) -> list[StreamEntry]:
        return await self._connection.run(_requests.read_stream(self._name, start, max_entries))

    def subscribe(
        self, start: int | str = "beginning", *, max_inflight: int = 0
    ) -> AsyncIterator[StreamEntry]:
        """An asynchronous generator; subscribes with its first step."""
        return self._connection.stream(_requests.subscribe(self._name, start, max_inflight))

    async def commit(self, group: str, offset: int, *, allow_rewind: bool = False) -> None:
        call = _requests.commit_offset(self._name, group, offset, allow_rewind)
        await self._connection.run(call)

    async def committed(self, group: str) -> int | None:
        return await self._connection.run(_requests.committed_offset(self._name, group))
