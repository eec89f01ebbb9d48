"""What goes wrong: one exception for each gRPC code, with the server's reason."""

from __future__ import annotations

import enum
from typing import Mapping

from . import _contract


class Code(enum.IntEnum):
    """The codes of gRPC, which both transports use."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class PayloadManagerError(Exception):
    """The base of all errors of this package.

    `code` is the kind, `reason` the one cause ("TIER_FULL"; docs/CONTRACT.md lists all), `metadata`
    what the server says of it ("payload", "tier", ...), and `retry_after_seconds` when to try
    again, where the server says so.
    """

    default_code = Code.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: Code | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        reason = f" {self.reason}" if self.reason else ""
        return f"{self.message} ({self.code.name}{reason})"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors go from worker processes to their parents by pickle.
        parts = (self.code, self.reason, self.metadata, self.retry_after_seconds)
        return (_restore, (type(self), self.message, *parts))


class CancelledError(PayloadManagerError):
    default_code = Code.CANCELLED


class InvalidArgumentError(PayloadManagerError, ValueError):
    default_code = Code.INVALID_ARGUMENT


class DeadlineExceededError(PayloadManagerError):
    default_code = Code.DEADLINE_EXCEEDED


class NotFoundError(PayloadManagerError, LookupError):
    default_code = Code.NOT_FOUND


class AlreadyExistsError(PayloadManagerError):
    default_code = Code.ALREADY_EXISTS


class PermissionDeniedError(PayloadManagerError):
    default_code = Code.PERMISSION_DENIED


class ResourceExhaustedError(PayloadManagerError):
    default_code = Code.RESOURCE_EXHAUSTED


class FailedPreconditionError(PayloadManagerError):
    default_code = Code.FAILED_PRECONDITION


class AbortedError(PayloadManagerError):
    default_code = Code.ABORTED


class OutOfRangeError(PayloadManagerError):
    default_code = Code.OUT_OF_RANGE


class UnimplementedError(PayloadManagerError):
    default_code = Code.UNIMPLEMENTED


class InternalError(PayloadManagerError):
    default_code = Code.INTERNAL


class UnavailableError(PayloadManagerError):
    """The host is not there, or ended during the call; the next call looks for it again."""

    default_code = Code.UNAVAILABLE


class DataLossError(PayloadManagerError):
    default_code = Code.DATA_LOSS


class UnauthenticatedError(PayloadManagerError):
    default_code = Code.UNAUTHENTICATED


# ---- what this package says by itself ----


class NotReachableError(FailedPreconditionError):
    """The bytes are not on this machine, or not for this user."""

    def __init__(self, message: str, *, code: Code | None = None) -> None:
        super().__init__(message, code=code, reason="NOT_REACHABLE")


class NotMappableError(UnimplementedError):
    """The payload's tier has no memory or file to map."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="NOT_MAPPABLE")


class TruncatedError(DataLossError):
    """The mapped object is shorter than the server says."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="TRUNCATED")


class BadDescriptorError(InternalError):
    """The server's answer contradicts itself, or points where it must not."""

    def __init__(self, message: str) -> None:
        super().__init__("the server's descriptor is refused: " + message, reason="BAD_DESCRIPTOR")


class ForkedError(FailedPreconditionError):
    """The client was made by the parent of this process."""

    def __init__(self) -> None:
        super().__init__(
            "this client was made by the parent process; a forked child makes a client of its own,"
            " after exec or in a process that was spawned",
            reason="FORKED",
        )


class ClosedError(FailedPreconditionError):
    """The client was closed."""

    def __init__(self) -> None:
        super().__init__("the client is closed; make a new one", reason="CLOSED")


_OF_CODE: dict[Code, type[PayloadManagerError]] = {
    kind.default_code: kind for kind in PayloadManagerError.__subclasses__()
}


def _restore(
    kind: type[PayloadManagerError],
    message: str,
    code: Code,
    reason: str,
    metadata: dict[str, str],
    retry_after_seconds: float | None,
) -> PayloadManagerError:
    error = kind.__new__(kind)
    PayloadManagerError.__init__(
        error,
        message,
        code=code,
        reason=reason,
        metadata=metadata,
        retry_after_seconds=retry_after_seconds,
    )
    return error


def error_from(number: int, message: str, details: bytes = b"") -> PayloadManagerError:
    """The exception for a status of gRPC; `details` is a serialized google.rpc.Status, or empty."""
    try:
        code = Code(number)
    except ValueError:
        code = Code.UNKNOWN
    reason, metadata, retry_after = _read_details(details)
    kind = _OF_CODE.get(code, PayloadManagerError)
    return kind(
        message or code.name,
        code=code,
        reason=reason,
        metadata=metadata,
        retry_after_seconds=retry_after,
    )


def _read_details(details: bytes) -> tuple[str, dict[str, str], float | None]:
    reason, metadata, retry_after = "", {}, None
    try:
        status = _contract.message("google.rpc.Status").FromString(details)
        for detail in status.details:
            kind = detail.type_url.rpartition("/")[2]
            if kind == "google.rpc.ErrorInfo":
                info = _contract.message(kind).FromString(detail.value)
                reason, metadata = info.reason, dict(info.metadata)
            elif kind == "google.rpc.RetryInfo":
                delay = _contract.message(kind).FromString(detail.value).retry_delay
                retry_after = delay.seconds + delay.nanos / 1e9
    except _contract.DecodeError:
        pass  # Words of a proxy in between, perhaps; the code and the message stand.
    return reason, metadata, retry_after
