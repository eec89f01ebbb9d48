"""What users hold: payloads that are read, and payloads that are being written."""

from __future__ import annotations

import uuid
import warnings
from typing import TYPE_CHECKING, Any, Protocol

from ._leases import Held
from ._memory import Handle, Memory, Region
from .errors import NotFoundError
from .types import Descriptor

if TYPE_CHECKING:
    import numpy


class _Sync(Protocol):
    """The parts of a connection that a handle needs."""

    def give_back(self, held: Held) -> None: ...

    def commit(self, id: uuid.UUID, held: Held, request_id: str) -> Descriptor: ...


class View(Handle):
    """Bytes that NumPy, torch, memoryview, struct, socket.send, ... use where they are.

    Every view that is made of it keeps the bytes: `close()`, the end of a `with` block, or the end
    of this object let go of them only when the last view has gone.
    """

    def __init__(self, descriptor: Descriptor, memory: Memory, held: Held) -> None:
        self._descriptor = descriptor
        self._held = held
        self._attach(memory)

    @property
    def id(self) -> uuid.UUID:
        return self._descriptor.id

    @property
    def descriptor(self) -> Descriptor:
        """Where it was when it was opened or created, or last committed."""
        return self._descriptor

    @property
    def nbytes(self) -> int:
        return self._descriptor.size_bytes

    @property
    def closed(self) -> bool:
        return not self._is_attached

    def view(self) -> memoryview:
        return memoryview(self)  # type: ignore[arg-type]

    def numpy(
        self, dtype: Any = "uint8", shape: int | tuple[int, ...] = -1
    ) -> numpy.ndarray[Any, Any]:
        """An array of the payload's own bytes."""
        import numpy

        return numpy.frombuffer(self, dtype).reshape(shape)  # type: ignore[no-any-return]

    def torch(self, dtype: Any = None, shape: int | tuple[int, ...] = -1) -> Any:
        """A tensor of the payload's own bytes; `dtype` is torch's, by default torch.uint8.

        torch knows no read-only tensors. Never write to the tensor of a payload that was opened:
        its memory is mapped for reading, and the process would end with SIGSEGV.
        """
        import torch

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable")
            made = torch.frombuffer(self, dtype=torch.uint8 if dtype is None else dtype)
        return made.reshape(shape)

    def __len__(self) -> int:
        return self.nbytes

    def __getitem__(self, index: Any) -> Any:
        return self.view()[index]

    def __bytes__(self) -> bytes:
        return self.view().tobytes()

    def __reduce__(self) -> str:
        raise TypeError(
            "a payload is not pickled: send its id, or use dumps() and loads() of the client"
        )

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.nbytes} bytes"
        return f"<{type(self).__name__} {self.id} {state}>"

    def _let_go(self) -> bool:
        """True when nobody has a view any more, so that the caller gives back what is held."""
        held = self._held
        held.is_closing = True
        self._detach()
        if held.is_dead:
            return True
        held.is_closing = False
        # The last view may have gone between these two lines, in another thread.
        return held.is_dead


class Payload(View):
    """A payload that is held in place for reading. Its bytes never change."""

    def __init__(
        self, descriptor: Descriptor, memory: Memory, held: Held, connection: _Sync
    ) -> None:
        super().__init__(descriptor, memory, held)
        self._connection = connection

    @property
    def is_held(self) -> bool:
        """False when the lease has ended under it: the host went away for longer than it ran."""
        return not self.closed and not self._held.is_lost

    def close(self) -> None:
        """Ends the lease; with views in use, the last of them will."""
        if not self.closed and self._let_go():
            self._connection.give_back(self._held)

    def __enter__(self) -> Payload:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Writable(View):
    """Memory to write into. Views of it stay valid behind the commit, but reach it no more."""

    def __init__(
        self, descriptor: Descriptor, memory: Memory, held: Held, region: Region
    ) -> None:
        super().__init__(descriptor, memory, held)
        self._region: Region | None = region

    def __setitem__(self, index: Any, value: Any) -> None:
        self.view()[index] = value

    def _cut_off(self) -> None:
        """What is written through views from now on is theirs alone, and they hold nothing."""
        self._held.is_closing = True
        if self._region is not None:
            self._region.seal()
        self._region = None
        self._detach()


class WritablePayload(Writable):
    """An allocation that nobody can read yet. Unless it is committed, its end deletes it."""

    def __init__(
        self,
        descriptor: Descriptor,
        memory: Memory,
        held: Held,
        region: Region,
        connection: _Sync,
    ) -> None:
        super().__init__(descriptor, memory, held, region)
        self._connection = connection

    def commit(self, *, request_id: str = "") -> uuid.UUID:
        """Publishes the bytes; from then on they never change. After an error it can be repeated.

        When the answer was lost (UNAVAILABLE, DEADLINE_EXCEEDED), a repeat is safe if both gave the
        same request_id.
        """
        if self.closed:
            raise ValueError("the payload is committed or discarded already")
        self._descriptor = self._connection.commit(self.id, self._held, request_id)
        self._cut_off()
        return self.id

    def discard(self) -> None:
        """Deletes the allocation now. Views of it stay valid, and mean nothing."""
        if self.closed:
            return
        self._cut_off()
        try:
            self._connection.give_back(self._held)
        except NotFoundError:
            pass  # It expired before.

    def __enter__(self) -> WritablePayload:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self.discard()
        except Exception:
            if kind is None:
                raise  # Else what went wrong in the block is told, and the allocation will expire.
