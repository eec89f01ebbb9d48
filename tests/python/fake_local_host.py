"""A fake of the host's local frontend: it speaks the frames of sdk/local/frames.h, and has the
calls answered by a real host over gRPC. For builds without the plugin, and for what a real host
never does.

Written from the header alone, and shares no code with the client's side of the frames.
"""

import array
import os
import socket
import struct
import threading

import grpc

from payload_manager import _contract

HEADER = struct.Struct("=IBBHQQII")
MAGIC = 0x314C41434F4C4D50
CALL, CANCEL, CREDIT, OPEN, HELLO, REPLY, HANDLE = 1, 2, 3, 4, 16, 17, 18
DONE = 1


class Session:
    """One connection: its calls, and the leases and allocations that end with it."""

    def __init__(self, host, connection):
        self.host = host
        self.connection = connection
        self.sending = threading.Lock()
        self.leases = {}
        self.allocations = {}
        self.streams = {}
        self.credit = {}
        self.thread = None

    def send(self, kind, call=0, *, flags=0, value=0, number=0, text=b"", body=b"", descriptor=-1):
        data = HEADER.pack(len(text) + len(body), kind, flags, 0, call, value, number, len(text))
        data += text + body
        control = []
        if descriptor >= 0:
            numbers = array.array("i", [descriptor])
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes())]
        try:
            with self.sending:
                # In two parts, as the network may cut anything: descriptors come with the first.
                sent = self.connection.sendmsg([data[:7]], control)
                self.connection.sendall(data[sent:])
        except OSError:
            pass

    def read_exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.connection.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def run(self):
        self.send(HELLO, self.host.magic, value=self.host.version)
        try:
            while True:
                head = HEADER.unpack(self.read_exactly(HEADER.size))
                length, kind, _, method_bytes, call, value, number, _ = head
                body = self.read_exactly(length)
                self.host.seen.append((kind, body[:method_bytes].decode(), number))
                if kind == CALL:
                    work = (call, body[:method_bytes].decode(), body[method_bytes:], value, number)
                    threading.Thread(target=self.call, args=work, daemon=True).start()
                elif kind == OPEN:
                    self.open(call, body, number)
                elif kind == CREDIT:
                    self.credit[call].release(number)
                elif kind == CANCEL and call in self.streams:
                    self.streams[call].cancel()
        except (EOFError, OSError):
            self.end()

    def end(self):
        self.connection.close()
        for stream in list(self.streams.values()):
            stream.cancel()
        for lease in list(self.leases):
            self.ask("PayloadDataService/ReleaseLease", {"lease_id": {"value": lease}})
        for id in list(self.allocations):
            self.ask("PayloadCatalogService/AbortAllocation", {"id": {"value": id}})

    def ask(self, name, fields):
        method = _contract.method(name)
        try:
            request = method.request(**fields).SerializeToString()
            self.host.channel.unary_unary(method.path)(request, timeout=5)
        except grpc.RpcError:
            pass

    def call(self, call, path, request, value, credit):
        if self.host.delay_seconds:
            self.host.wakes.wait(self.host.delay_seconds)
        try:
            if path.endswith(("/Subscribe", "/Watch")):
                self.stream(call, path, request, credit)
            else:
                seconds = value / 1e9 if value else None
                reply = self.host.channel.unary_unary(path)(request, timeout=seconds)
                self.note(path, request, reply)
                self.send(REPLY, call, flags=DONE, body=reply)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            text = (error.details() or "").encode()
            self.send(REPLY, call, flags=DONE, number=error.code().value[0], text=text,
                      value=len(details), body=details)
        except ValueError:
            pass  # The test has ended, and with it the channel to the host.

    def stream(self, call, path, request, credit):
        room = self.credit[call] = threading.Semaphore(credit)
        replies = self.streams[call] = self.host.channel.unary_stream(path)(request)
        for reply in replies:
            room.acquire()
            self.send(REPLY, call, body=reply)

    def note(self, path, request, reply):
        method = _contract.method(path)
        if path.endswith("/AcquireReadLease"):
            message = method.reply.FromString(reply)
            self.leases[message.lease_id.value] = message.payload_descriptor
        elif path.endswith("/AllocatePayload"):
            message = method.reply.FromString(reply)
            self.allocations[message.payload_descriptor.payload_id.value] = (
                message.payload_descriptor)
        elif path.endswith("/ReleaseLease"):
            self.leases.pop(method.request.FromString(request).lease_id.value, None)
        elif path.endswith(("/CommitPayload", "/AbortAllocation")):
            self.allocations.pop(method.request.FromString(request).id.value, None)

    def open(self, call, id, what):
        known = self.allocations.get(id) if what == 1 else self.leases.get(id)
        if known is None:
            self.send(HANDLE, call, number=5, text=b"the session has no such lease")
            return
        path = "/dev/shm" + known.ram.shm_name if known.HasField("ram") else known.disk.path
        try:
            descriptor = os.open(path, os.O_RDWR if what == 1 else os.O_RDONLY)
        except OSError as error:
            self.send(HANDLE, call, number=13, text=str(error).encode())
            return
        self.send(HANDLE, call, descriptor=descriptor)
        os.close(descriptor)


class FakeLocalHost:
    """Listens on `path`, and lets `address` (of gRPC) answer. What it saw is in `seen`."""

    def __init__(self, path, address, magic=MAGIC, version=1):
        self.magic = magic
        self.version = version
        self.seen = []
        self.delay_seconds = 0
        self.wakes = threading.Event()
        self.channel = grpc.insecure_channel(address)
        self.sessions = []
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                session = Session(self, self.listener.accept()[0])
                session.thread = threading.Thread(target=session.run, daemon=True)
                self.sessions.append(session)
                session.thread.start()
        except OSError:
            pass

    def end_connections(self):
        for session in list(self.sessions):  # Not those of clients who come back at once.
            try:
                session.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.wakes.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.path.unlink(missing_ok=True)
        self.end_connections()
        for session in self.sessions:
            session.thread.join(10)  # It gives back what it held.
        self.channel.close()
