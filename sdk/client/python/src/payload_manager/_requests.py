"""The calls of the contract, as data: built and read here, carried by either transport."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable, Generic, Iterable, Mapping, NamedTuple, TypeVar

from . import types
from ._contract import Message, Method, message, method
from .errors import InvalidArgumentError
from .types import IdLike, Tier

T = TypeVar("T")

LAYOUTS = {"segment": 1, "slab": 2}
PRIORITIES = {"": 0, "low": 1, "normal": 2, "high": 3, "never": 4}
CATALOG = "PayloadCatalogService/"
DATA = "PayloadDataService/"
STREAMS = "PayloadStreamService/"


class Call(NamedTuple, Generic[T]):
    method: Method
    request: Message
    read: Callable[[Message], T]

    def reply(self, data: bytes) -> T:
        return self.read(self.method.reply.FromString(data))


def _nothing(_: Message) -> None:
    return None


def _call(name: str, read: Callable[[Message], T], **fields: Any) -> Call[T]:
    found = method(name)
    return Call(found, found.request(**fields), read)


def _id(value: IdLike) -> dict[str, bytes]:
    return {"value": types.id_bytes(value)}


def _choice(what: str, text: str, allowed: Mapping[str, int]) -> int:
    if text not in allowed:
        known = ", ".join(repr(name) for name in allowed)
        raise InvalidArgumentError(f"{text[:64]!r} is no {what}: give one of {known}")
    return allowed[text]


def generic(name: str, request: Message | None, fields: dict[str, Any]) -> Call[Message]:
    found = method(name)
    return Call(found, found.request(**fields) if request is None else request, lambda reply: reply)


# ---- payloads ----


def allocate(
    size_bytes: int,
    tier: Tier | int | str = Tier.RAM,
    ttl_ms: int = 0,
    no_evict: bool = False,
    priority: str = "",
    layout: str = "segment",
    labels: Mapping[str, str] | None = None,
    request_id: str = "",
) -> Call[types.Descriptor]:
    if not 0 < size_bytes < 1 << 63:
        raise InvalidArgumentError(
            f"a payload of {size_bytes} bytes cannot be: it has at least one"
        )
    return _call(
        CATALOG + "AllocatePayload",
        lambda reply: types.descriptor_from(reply.payload_descriptor),
        size_bytes=size_bytes,
        preferred_tier=types.tier_number(tier),
        ttl_ms=ttl_ms,
        no_evict=no_evict,
        eviction_policy={"priority": _choice("priority", priority, PRIORITIES)},
        layout=_choice("layout", layout, LAYOUTS),
        labels=labels or {},
        request_id=request_id,
    )


def commit(id: IdLike, request_id: str = "") -> Call[types.Descriptor]:
    return _call(
        CATALOG + "CommitPayload",
        lambda reply: types.descriptor_from(reply.payload_descriptor),
        id=_id(id),
        request_id=request_id,
    )


def abort(id: IdLike) -> Call[None]:
    return _call(CATALOG + "AbortAllocation", _nothing, id=_id(id))


def delete(id: IdLike, force: bool = False, request_id: str = "") -> Call[None]:
    return _call(CATALOG + "Delete", _nothing, id=_id(id), force=force, request_id=request_id)


def resolve(id: IdLike) -> Call[types.Descriptor]:
    return _call(
        DATA + "ResolveSnapshot",
        lambda reply: types.descriptor_from(reply.payload_descriptor),
        id=_id(id),
    )


def promote(
    id: IdLike, tier: Tier | int | str, drop_source: bool = False
) -> Call[types.Descriptor]:
    return _call(
        CATALOG + "Promote",
        lambda reply: types.descriptor_from(reply.payload_descriptor),
        id=_id(id),
        target_tier=types.tier_number(tier),
        drop_source=drop_source,
    )


def spill(id: IdLike, tier: Tier | int | str, wait_for_leases: bool) -> Call[Message]:
    return _call(
        CATALOG + "Spill",
        lambda reply: reply.results[0],
        ids=[_id(id)],
        target_tier=types.tier_number(tier),
        wait_for_leases=wait_for_leases,
    )


def pin(id: IdLike, duration_ms: int = 0) -> Call[None]:
    return _call(CATALOG + "Pin", _nothing, id=_id(id), duration_ms=duration_ms)


def unpin(id: IdLike) -> Call[None]:
    return _call(CATALOG + "Unpin", _nothing, id=_id(id))


def update_labels(
    id: IdLike, set: Mapping[str, str], remove: Iterable[str]
) -> Call[dict[str, str]]:
    return _call(
        CATALOG + "UpdateLabels",
        lambda reply: dict(reply.labels),
        id=_id(id),
        set=dict(set),
        remove=list(remove),
    )


class Page(NamedTuple):
    payloads: list[types.Summary]
    next_page_token: str


def list_page(
    tier: Tier | int | str = Tier.UNSPECIFIED,
    filter: str = "",
    order_by: str = "",
    page_size: int = 0,
    page_token: str = "",
) -> Call[Page]:
    return _call(
        CATALOG + "ListPayloads",
        lambda reply: Page(
            [types.summary_from(each) for each in reply.payloads], reply.next_page_token
        ),
        tier_filter=types.tier_number(tier),
        filter=filter,
        order_by=order_by,
        page_size=page_size,
        page_token=page_token,
    )


def stats() -> Call[types.Stats]:
    return _call("PayloadAdminService/Stats", types.stats_from)


# ---- leases ----


def acquire(
    id: IdLike,
    min_tier: Tier | int | str = Tier.UNSPECIFIED,
    duration_ms: int = 0,
    holder: str = "",
) -> Call[types.Granted]:
    return _call(
        DATA + "AcquireReadLease",
        lambda reply: types.Granted(
            bytes(reply.lease_id.value),
            types.descriptor_from(reply.payload_descriptor),
            reply.lease_duration_ms,
        ),
        id=_id(id),
        min_tier=types.tier_number(min_tier),
        promotion_policy=2,
        min_lease_duration_ms=duration_ms,
        holder=holder,
    )


def renew(lease: bytes, duration_ms: int) -> Call[int]:
    return _call(
        DATA + "RenewLease",
        lambda reply: int(reply.lease_duration_ms),
        lease_id={"value": lease},
        min_lease_duration_ms=duration_ms,
    )


def release(leases: list[bytes]) -> Call[None]:
    if len(leases) == 1:
        return _call(DATA + "ReleaseLease", _nothing, lease_id={"value": leases[0]})
    items = [{"lease_id": {"value": lease}} for lease in leases]
    return _call(DATA + "BatchReleaseLease", _nothing, items=items)


# ---- streams ----


class StreamName(NamedTuple):
    name: str
    namespace: str = ""

    @staticmethod
    def parse(text: str) -> StreamName:
        """ "lab/frames" is the stream frames in the namespace lab."""
        namespace, _, name = text.rpartition("/")
        return StreamName(name, namespace)


def _stream(name: StreamName) -> dict[str, str]:
    return {"name": name.name, "namespace": name.namespace}


def _stamp(time: datetime | None) -> Message | None:
    if time is None:
        return None
    stamp = message("google.protobuf.Timestamp")()
    # Counted in whole microseconds, as a float would lose some.
    moment = time.astimezone(timezone.utc)
    stamp.seconds = int(moment.replace(microsecond=0).timestamp())
    stamp.nanos = moment.microsecond * 1000
    return stamp


class Item(NamedTuple):
    """What is appended to a stream. Times without a zone are local, as datetime has it."""

    payload_id: IdLike
    event_time: datetime | None = None
    duration_ns: int = 0
    tags: Mapping[str, str] = {}


def create_stream(name: StreamName, max_entries: int, max_age_sec: int) -> Call[None]:
    return _call(
        STREAMS + "CreateStream",
        _nothing,
        stream=_stream(name),
        retention_max_entries=max_entries,
        retention_max_age_sec=max_age_sec,
    )


def delete_stream(name: StreamName) -> Call[None]:
    return _call(STREAMS + "DeleteStream", _nothing, stream=_stream(name))


def append(name: StreamName, items: Iterable[Item], request_id: str) -> Call[range]:
    return _call(
        STREAMS + "Append",
        lambda reply: range(reply.first_offset, reply.last_offset + 1),
        stream=_stream(name),
        items=[
            {
                "payload_id": _id(item.payload_id),
                "event_time": _stamp(item.event_time),
                "duration_ns": item.duration_ns,
                "tags": dict(item.tags),
            }
            for item in items
        ],
        request_id=request_id,
    )


def read_stream(name: StreamName, start: int, max_entries: int) -> Call[list[types.StreamEntry]]:
    return _call(
        STREAMS + "Read",
        lambda reply: [types.entry_from(each) for each in reply.entries],
        stream=_stream(name),
        start_offset=start,
        max_entries=max_entries,
    )


def subscribe(
    name: StreamName, start: int | str, max_inflight: int
) -> Call[types.StreamEntry]:
    begin: dict[str, Any]
    if isinstance(start, int):
        begin = {"offset": start}
    else:
        names = {"beginning": 0, "latest": 1}
        begin = {"from_latest" if _choice("start", start, names) else "from_beginning": True}
    return _call(
        STREAMS + "Subscribe",
        lambda reply: types.entry_from(reply.entry),
        stream=_stream(name),
        max_inflight=max_inflight,
        **begin,
    )


def commit_offset(name: StreamName, group: str, offset: int, allow_rewind: bool) -> Call[None]:
    return _call(
        STREAMS + "Commit",
        _nothing,
        stream=_stream(name),
        consumer_group=group,
        offset=offset,
        allow_rewind=allow_rewind,
    )


def committed_offset(name: StreamName, group: str) -> Call[int | None]:
    return _call(
        STREAMS + "GetCommitted",
        lambda reply: int(reply.offset) if reply.has_committed else None,
        stream=_stream(name),
        consumer_group=group,
    )
