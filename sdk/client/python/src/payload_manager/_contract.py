"""The wire contract, as messages and methods, from the descriptor set that the build made.

It lives in a pool of its own: other packages of this process may have registered files of the same
names (google/rpc/status.proto) in protobuf's default pool.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as DecodeError

Message = Any  # Of protobuf; its classes are made at run time, so no type checker knows them.

PACKAGE = "payload.manager."
SERVICES = PACKAGE + "services.v1."


def _load() -> Any:
    pool = descriptor_pool.DescriptorPool()
    data = resources.files(__package__).joinpath("contract.pb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_pool = _load()
if hasattr(message_factory, "GetMessageClass"):
    _class_of = message_factory.GetMessageClass
else:
    _class_of = message_factory.MessageFactory(_pool).GetPrototype


@functools.cache
def message(name: str) -> Any:
    """The class of a message, by its full name."""
    return _class_of(_pool.FindMessageTypeByName(name))


class Method(NamedTuple):
    path: str  # "/package.Service/Method"
    request: Any  # Classes of messages.
    reply: Any


@functools.cache
def method(name: str) -> Method:
    """A method by "Service/Method", or by its full name."""
    service, _, short = name.lstrip("/").rpartition("/")
    full = service if "." in service else SERVICES + service
    try:
        found = _pool.FindServiceByName(full).methods_by_name[short]
    except KeyError:
        raise ValueError(f"'{name[:100]}' is no method of the contract, such as "
                         "'PayloadCatalogService/Pin'") from None
    return Method(
        f"/{full}/{short}",
        message(found.input_type.full_name),
        message(found.output_type.full_name),
    )
