"""From descriptors to memory: what the server says is checked before anything is mapped."""

from __future__ import annotations

import errno
import os
import stat
import threading

from ._memory import Memory, Region
from .errors import (
    BadDescriptorError,
    Code,
    NotMappableError,
    NotReachableError,
    PayloadManagerError,
    ResourceExhaustedError,
    TruncatedError,
)
from .types import Descriptor, Location, LocationKind

_SHM = "/dev/shm"  # Where shm_open(3) of Linux has its names.
_END_MAX = (1 << 63) - 1
_PAGE = os.sysconf("SC_PAGESIZE")


class Mapper:
    """Maps segments and files for each payload, and slabs once for all that is read in them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slabs: dict[tuple[str, int, int, int], Region] = {}

    def map_for_reading(self, descriptor: Descriptor, file: int) -> Memory:
        """`file` is what open_location() gave, or the host; it is not closed here."""
        location = descriptor.location
        end = _checked_end(descriptor)
        is_slab = _is_slab(location, end)
        info = _check_object(file, location, max(end, location.mapping_bytes if is_slab else 0))
        if is_slab:
            region = self._slab(location, file, info)
            return Memory(region, location.offset_bytes, descriptor.size_bytes)
        return _map_part(descriptor, file, writable=False)

    def map_for_writing(self, descriptor: Descriptor, file: int) -> tuple[Memory, Region]:
        """Also blocks of a slab get a mapping of their own, so that it can be sealed alone."""
        _check_object(file, descriptor.location, _checked_end(descriptor))
        region, lead = _map_region(descriptor, file, writable=True)
        return Memory(region, lead, descriptor.size_bytes, writable=True), region

    def _slab(self, location: Location, file: int, info: os.stat_result) -> Region:
        # A host that lost its slabs may make new ones under the old names; the inode tells.
        key = (location.name, location.mapping_bytes, info.st_dev, info.st_ino)
        with self._lock:
            region = self._slabs.get(key)
            if region is None:
                for old in [other for other in self._slabs if other[:2] == key[:2]]:
                    del self._slabs[old]
                region = _region(file, 0, location.mapping_bytes, False, True, location)
                self._slabs[key] = region
            return region


def open_location(location: Location, descriptor: Descriptor, *, writable: bool) -> int:
    """Opens what the location names on this machine. The caller closes it."""
    if location.kind is LocationKind.MEMORY:
        name = location.name
        if len(name) < 2 or len(name) > 255 or name[0] != "/" or "/" in name[1:] or "\0" in name:
            raise BadDescriptorError(f"{name[:300]!r} is not a name for shm_open")
        if name in ("/.", "/.."):
            raise BadDescriptorError(f"{name!r} is not a name for shm_open")
        path = _SHM + name
    elif location.kind is LocationKind.FILE:
        path = location.name
        if not path.startswith("/") or "\0" in path:
            # Relative to what? Opening it here would touch another file than the host's.
            raise BadDescriptorError(f"path {path[:300]!r} is not absolute")
    else:
        tier = descriptor.tier.name.lower()
        raise NotMappableError(
            f"a payload on tier {tier} has no memory or file to map; use its descriptor"
        )
    mode = os.O_RDWR if writable else os.O_RDONLY
    try:
        # O_NONBLOCK: a name that turns out to be a pipe must not hang the caller.
        return os.open(path, mode | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _system_error(error, f"cannot open {path}") from None


def not_reachable(error: NotReachableError, allow_copy: bool) -> NotReachableError:
    """Says besides what would help, or why it does not."""
    if allow_copy:
        more = "; this host has no side channel that could copy them here (allow_copy)"
        return NotReachableError(error.message + more, code=error.code)
    return error


def _system_error(error: OSError, what: str) -> PayloadManagerError:
    text = f"{what}: {os.strerror(error.errno or 0)}"
    if error.errno == errno.ENOENT:
        return NotReachableError(
            text + "; the bytes are not on this machine: is the host on another one?"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotReachableError(
            text + "; the bytes belong to another user", code=Code.PERMISSION_DENIED
        )
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return ResourceExhaustedError(text)
    return PayloadManagerError(text, code=Code.INTERNAL)


def _checked_end(descriptor: Descriptor) -> int:
    """Where the payload ends in its object."""
    size, location = descriptor.size_bytes, descriptor.location
    if size == 0:
        raise BadDescriptorError("it shows no bytes")
    if location.length_bytes < size:
        raise BadDescriptorError(f"it shows {location.length_bytes} bytes of a payload of {size}")
    end = location.offset_bytes + location.length_bytes
    if end > _END_MAX:
        raise BadDescriptorError(f"its end, {end}, is beyond what a file can hold")
    return end


def _is_slab(location: Location, end: int) -> bool:
    if location.kind is not LocationKind.MEMORY or location.mapping_bytes == 0:
        return False
    if location.slab or location.block_index or location.offset_bytes:
        is_slab = True
    else:
        is_slab = location.mapping_bytes > (end + _PAGE - 1) // _PAGE * _PAGE
    if is_slab and location.mapping_bytes < end:
        raise BadDescriptorError(
            f"the payload ends at {end} in a mapping of {location.mapping_bytes} bytes"
        )
    return is_slab


def _check_object(file: int, location: Location, needed: int) -> os.stat_result:
    info = os.fstat(file)
    if not stat.S_ISREG(info.st_mode):
        raise BadDescriptorError(f"{location.name} is not a regular file")
    if info.st_size < needed:
        # Touching what lies past the end would be a SIGBUS.
        raise TruncatedError(
            f"{location.name} holds {info.st_size} bytes where {needed} are needed"
        )
    return info


def _region(
    file: int, offset: int, length: int, writable: bool, populate: bool, location: Location
) -> Region:
    try:
        return Region(file, offset, length, writable, populate)
    except OSError as error:
        raise _system_error(error, f"cannot map {location.name}") from None


def _map_region(descriptor: Descriptor, file: int, writable: bool) -> tuple[Region, int]:
    location = descriptor.location
    start = location.offset_bytes // _PAGE * _PAGE
    lead = location.offset_bytes - start
    # The host has taken the room already: populating makes no pages, it saves a fault for each.
    populate = location.kind is LocationKind.MEMORY
    length = lead + descriptor.size_bytes
    return _region(file, start, length, writable, populate, location), lead


def _map_part(descriptor: Descriptor, file: int, writable: bool) -> Memory:
    region, lead = _map_region(descriptor, file, writable)
    return Memory(region, lead, descriptor.size_bytes, writable)
