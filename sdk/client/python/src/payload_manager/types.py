"""What the server says, as plain data."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Mapping, Union

from . import _contract
from .errors import BadDescriptorError, InvalidArgumentError

# An id as users may give it: a UUID, its text, or its sixteen bytes.
IdLike = Union[uuid.UUID, str, bytes]


class _OpenEnum(enum.IntEnum):
    """Numbers that are not named here are valid, too: tiers have any number from 100 up."""

    @classmethod
    def _missing_(cls, value: object) -> _OpenEnum | None:
        if not isinstance(value, int) or value < 0:
            return None
        made = int.__new__(cls, value)
        made._name_ = f"{cls.__name__.upper()}_{value}"
        made._value_ = value
        return made


class Tier(_OpenEnum):
    UNSPECIFIED = 0
    GPU = 1
    RAM = 2
    DISK = 3
    OBJECT = 4
    VOID = 5


class State(_OpenEnum):
    UNSPECIFIED = 0
    ALLOCATED = 1
    ACTIVE = 2
    SPILLING = 3
    DURABLE = 4
    EVICTING = 5
    DELETING = 6
    EXPIRED = 7
    DELETED = 8
    LOST = 100


class LocationKind(enum.Enum):
    NONE = "none"
    MEMORY = "ram"
    FILE = "disk"
    DEVICE = "gpu"
    GENERIC = "generic"


@dataclass(frozen=True)
class Location:
    """Where bytes lie. `name` is for shm_open, a path, or a URI, as `kind` says."""

    kind: LocationKind = LocationKind.NONE
    name: str = ""
    offset_bytes: int = 0
    length_bytes: int = 0
    mapping_bytes: int = 0  # Of memory: of the whole object; 0: the server does not say.
    block_index: int = 0
    slab: int = 0
    device: int = 0
    handle: bytes = b""


@dataclass(frozen=True)
class Descriptor:
    """Where a payload is. Promises nothing without a lease."""

    id: uuid.UUID
    tier: Tier
    state: State
    version: int
    size_bytes: int
    location: Location
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Granted:
    """A lease as it was granted."""

    id: bytes
    descriptor: Descriptor
    duration_ms: int


@dataclass(frozen=True)
class Summary:
    """A payload in a list."""

    id: uuid.UUID
    tier: Tier
    state: State
    size_bytes: int
    created_at: datetime | None
    expires_at: datetime | None
    active_leases: int
    version: int
    labels: Mapping[str, str] = field(default_factory=dict)
    pinned: bool = False


@dataclass(frozen=True)
class TierStats:
    name: str
    number: Tier
    bytes_charged: int
    bytes_capacity: int
    copies: int
    health: str


@dataclass(frozen=True)
class Stats:
    """Payloads are counted once, by the copy that their descriptor shows."""

    payloads: Mapping[str, int]  # By "gpu", "ram", "disk", "object", "other".
    bytes: Mapping[str, int]
    payloads_lost: int
    payloads_uncommitted: int
    leases_active: int
    tiers: tuple[TierStats, ...]


@dataclass(frozen=True)
class StreamEntry:
    offset: int
    payload_id: uuid.UUID
    event_time: datetime | None
    append_time: datetime | None
    duration_ns: int
    tags: Mapping[str, str]


# ---- from what users give ----


def id_bytes(value: IdLike) -> bytes:
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, bytes) and len(value) == 16:
        return value
    try:
        if isinstance(value, str):
            return uuid.UUID(value).bytes
    except ValueError:
        pass
    raise InvalidArgumentError(
        f"{str(value)[:64]!r} is not an id: give a uuid.UUID, its text or its 16 bytes"
    )


def tier_number(tier: Tier | int | str) -> int:
    """Takes a number or a name: "ram"; "tier-100" for one that has no name."""
    if isinstance(tier, int) and tier >= 0:
        return int(tier)
    text = str(tier)
    if text.upper() in Tier.__members__:
        return Tier[text.upper()].value
    head, _, number = text.partition("-")
    if head == "tier" and number.isdecimal() and int(number) >= 100:
        return int(number)
    raise InvalidArgumentError(
        f"{text[:64]!r} is not a tier: give gpu, ram, disk, object, void, or tier-N with the number"
        " (100 and up) of another tier"
    )


# ---- from messages ----


def id_from(message: _contract.Message) -> uuid.UUID:
    if len(message.value) != 16:
        raise BadDescriptorError(f"it has an id of {len(message.value)} bytes, not 16")
    return uuid.UUID(bytes=message.value)


def time_from(message: _contract.Message, name: str) -> datetime | None:
    if not message.HasField(name):
        return None
    stamp = getattr(message, name)
    # Beyond what datetime counts is "for ever" for all that anybody does with it.
    seconds = min(max(stamp.seconds, 0), 253_402_300_799)
    return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=stamp.nanos // 1000)


def _time_from_ms(unix_ms: int) -> datetime | None:
    if unix_ms == 0:
        return None
    return datetime.fromtimestamp(min(unix_ms, 253_402_300_799_000) / 1000, timezone.utc)


def location_from(message: _contract.Message) -> Location:
    kind = message.WhichOneof("location")
    if kind is None:
        return Location()
    part = getattr(message, kind)
    common = {"offset_bytes": part.offset_bytes, "length_bytes": part.length_bytes}
    if kind == "ram":
        return Location(
            LocationKind.MEMORY,
            part.shm_name,
            mapping_bytes=part.mapping_bytes,
            block_index=part.block_index,
            slab=part.slab_id,
            **common,
        )
    if kind == "disk":
        return Location(LocationKind.FILE, part.path, **common)
    if kind == "gpu":
        return Location(
            LocationKind.DEVICE, device=part.device_id, handle=part.ipc_handle, **common
        )
    return Location(LocationKind.GENERIC, part.uri, handle=part.handle, **common)


def descriptor_from(message: _contract.Message) -> Descriptor:
    location = location_from(message)
    return Descriptor(
        id_from(message.payload_id),
        Tier(message.tier),
        State(message.state),
        message.version,
        # Servers of the first contract say the size only in the location.
        message.size_bytes or location.length_bytes,
        location,
        time_from(message, "created_at"),
        time_from(message, "expires_at"),
    )


def summary_from(message: _contract.Message) -> Summary:
    return Summary(
        id_from(message.id),
        Tier(message.tier),
        State(message.state),
        message.size_bytes,
        _time_from_ms(message.created_at_ms),
        _time_from_ms(message.expires_at_ms),
        message.active_leases,
        message.version,
        dict(message.labels),
        message.pinned,
    )


def stats_from(message: _contract.Message) -> Stats:
    kinds = ("gpu", "ram", "disk", "object", "other")
    return Stats(
        {kind: getattr(message, "payloads_" + kind) for kind in kinds},
        {kind: getattr(message, "bytes_" + kind) for kind in kinds},
        message.payloads_lost,
        message.payloads_uncommitted,
        message.leases_active,
        tuple(
            TierStats(
                tier.name,
                Tier(tier.number),
                tier.bytes_charged,
                tier.bytes_capacity,
                tier.copies,
                tier.health,
            )
            for tier in message.tiers
        ),
    )


def entry_from(message: _contract.Message) -> StreamEntry:
    return StreamEntry(
        message.offset,
        id_from(message.payload_id),
        time_from(message, "event_time"),
        time_from(message, "append_time"),
        message.duration_ns,
        dict(message.tags),
    )
