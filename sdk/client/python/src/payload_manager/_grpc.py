"""The transport over gRPC, for threads and for asyncio. Messages go through it as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, AsyncIterator, Iterator, NamedTuple

import grpc

from . import _forks
from .errors import InvalidArgumentError, NotReachableError, PayloadManagerError, error_from

_OPTIONS = [
    # A host that restarts is found again within this time.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Each client has a connection of its own, so that one does not wait for another's backoff.
    ("grpc.use_local_subchannel_pool", 1),
]


class Tls(NamedTuple):
    """PEM files. TLS is used when any is set."""

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def credentials(self) -> Any | None:
        if bool(self.certificate_file) != bool(self.key_file):
            raise InvalidArgumentError(
                "a TLS certificate and its key go together: give both or neither"
            )
        if not any(self):
            return None
        parts = [_read(path) if path else None for path in self]
        return grpc.ssl_channel_credentials(parts[0], parts[2], parts[1])


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"cannot read TLS file {path}: {error.strerror}") from None


def _error(raised: Any) -> PayloadManagerError:
    details = b""
    for key, value in raised.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            details = value
    return error_from(raised.code().value[0], raised.details() or "", details)


_NO_HANDLES = "file descriptors come over local: addresses only"


class GrpcTransport:
    """Any number of threads."""

    def __init__(self, address: str, tls: Tls) -> None:
        self._made_in = _forks.generation()
        credentials = tls.credentials()
        if credentials is None:
            self._channel = grpc.insecure_channel(address, _OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, _OPTIONS)

    def call(self, path: str, request: bytes, seconds: float | None) -> bytes:
        try:
            reply: bytes = self._channel.unary_unary(path)(request, timeout=seconds)
            return reply
        except grpc.RpcError as error:
            raise _error(error) from None
        except ValueError as error:  # "Cannot invoke RPC on closed channel!"
            raise error_from(14, str(error)) from None

    def stream(self, path: str, request: bytes) -> GrpcStream:
        return GrpcStream(self._channel.unary_stream(path)(request))

    def open_handle(self, what: int, id: bytes, seconds: float | None) -> int:
        raise NotReachableError(_NO_HANDLES)

    def close(self) -> None:
        self._channel.close()

    def __del__(self) -> None:
        if hasattr(self, "_channel") and self._made_in == _forks.generation():
            self.close()

    def forget(self) -> None:
        """gRPC has handlers of its own for forks."""


class GrpcStream:
    def __init__(self, call: Any) -> None:
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            reply: bytes = next(self._call)
            return reply
        except grpc.RpcError as error:
            raise _error(error) from None

    def cancel(self) -> None:
        self._call.cancel()


class AioGrpcTransport:
    """One event loop: the one that runs when it is made."""

    def __init__(self, address: str, tls: Tls) -> None:
        credentials = tls.credentials()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, _OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, _OPTIONS)

    async def call(self, path: str, request: bytes, seconds: float | None) -> bytes:
        try:
            reply: bytes = await self._channel.unary_unary(path)(request, timeout=seconds)
            return reply
        except grpc.aio.AioRpcError as error:
            raise _error(error) from None
        except grpc.aio.UsageError as error:
            raise error_from(14, str(error)) from None

    async def stream(self, path: str, request: bytes) -> AsyncIterator[bytes]:
        call = self._channel.unary_stream(path)(request)
        try:
            async for reply in call:
                yield reply
        except grpc.aio.AioRpcError as error:
            raise _error(error) from None
        finally:
            call.cancel()

    async def open_handle(self, what: int, id: bytes, seconds: float | None) -> int:
        raise NotReachableError(_NO_HANDLES)

    async def close(self) -> None:
        await self._channel.close()

    def forget(self) -> None:
        """gRPC has handlers of its own for forks."""
