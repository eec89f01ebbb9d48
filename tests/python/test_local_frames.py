"""The local transport's frames, against the fake: what a real host does rarely or never."""

import asyncio
import gc
import os
import pathlib
import subprocess
import sys
import threading
import time

import payload_manager
import pytest
from fake_local_host import CALL, CANCEL, CREDIT, OPEN, FakeLocalHost
from host import eventually
from payload_manager import AsyncClient


@pytest.fixture
def fake(host, tmp_path):
    made = FakeLocalHost(tmp_path / "fake.sock", host.address)
    yield made
    made.close()


@pytest.fixture
def fake_client(fake):
    return payload_manager.Client(f"local:{fake.path}", deadline_seconds=10)


def test_a_request_larger_than_the_socket_s_buffer_goes_through(fake_client):
    with pytest.raises(payload_manager.PayloadManagerError):
        fake_client.call("PayloadCatalogService/UpdatePayloadMetadata",
                         id={"value": bytes(16)}, metadata={"data": bytes(3 << 20)})
    assert fake_client.stats() is not None


def test_large_requests_of_many_threads_do_not_mix(fake_client):
    ids = [fake_client.put(b"x") for _ in range(8)]
    failures = []

    def work(id, byte):
        try:
            for _ in range(5):
                data = bytes([byte]) * 900_000
                reply = fake_client.call("PayloadCatalogService/UpdatePayloadMetadata",
                                         id={"value": id.bytes}, mode=2, metadata={"data": data})
                assert reply.metadata.data == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(id, n)) for n, id in enumerate(ids)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_connection_that_breaks_under_a_call_is_unavailable(fake, fake_client):
    fake_client.stats()
    fake.delay_seconds = 20
    threading.Timer(0.2, fake.end_connections).start()
    begin = time.monotonic()
    with pytest.raises(payload_manager.UnavailableError):
        fake_client.stats()
    assert time.monotonic() - begin < 5
    fake.delay_seconds = 0
    fake_client.stats()


def test_a_connection_that_broke_while_idle_is_made_again_without_an_error(fake, fake_client):
    for _ in range(3):
        fake_client.stats()
        fake.end_connections()
        time.sleep(0.05)
    assert len(fake.sessions) == 3


def test_the_end_of_a_session_ends_its_leases_and_the_view_is_told(fake, fake_client, leases):
    before = leases()
    payload = fake_client.open(fake_client.put(b"kept"), lease_ms=400)
    assert leases() == before + 1
    fake.end_connections()
    assert eventually(lambda: leases() == before)
    assert eventually(lambda: not payload.is_held)
    assert bytes(payload) == b"kept"


def test_a_deadline_cancels_the_call(fake):
    client = payload_manager.Client(f"local:{fake.path}", deadline_seconds=0.2)
    client.stats()
    fake.delay_seconds = 1
    with pytest.raises(payload_manager.DeadlineExceededError):
        client.stats()
    assert eventually(lambda: any(kind == CANCEL for kind, _, _ in fake.seen))
    fake.wakes.set()
    fake.delay_seconds = 0
    client.stats()


def test_credit_comes_as_replies_are_taken(fake, fake_client):
    stream = fake_client.stream("frames/credit").create()
    stream.append([fake_client.put(b"x")] * 500)
    with stream.subscribe() as entries:
        assert [next(entries).offset for _ in range(500)] == list(range(500))
    given = [number for kind, _, number in fake.seen if kind == CREDIT]
    begun = [n for kind, method, n in fake.seen if kind == CALL and method.endswith("/Subscribe")]
    assert begun[0] + sum(given) >= 500 and len(given) < 50
    assert eventually(lambda: any(kind == CANCEL for kind, _, _ in fake.seen))
    stream.delete()


@pytest.fixture
def hidden_names(monkeypatch):
    """As if this process saw another /dev/shm than the host's."""
    monkeypatch.setattr("payload_manager._mapping._SHM", "/nowhere")


def test_what_has_no_name_here_comes_as_a_descriptor(fake, fake_client, hidden_names):
    fake_client.stats()
    before = len(os.listdir("/proc/self/fd"))
    with fake_client.create(9) as writer:
        writer[:] = b"by handle"
        id = writer.commit()
    payload = fake_client.open(id)
    assert bytes(payload) == b"by handle"
    assert f"{id}" in pathlib.Path("/proc/self/maps").read_text()
    assert [number for kind, _, number in fake.seen if kind == OPEN] == [1, 0]
    payload.close()
    assert eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_the_host_hands_out_descriptors_of_what_a_session_holds(local_address, hidden_names):
    """Of the real local frontend, where the build has it."""
    client = payload_manager.Client(local_address)
    for options in ({}, {"tier": "disk"}):
        id = client.put(b"by handle" * 1000, **options)
        with client.open(id) as payload:
            assert bytes(payload) == b"by handle" * 1000
            with pytest.raises(TypeError):
                payload.view()[0] = 1


def test_descriptors_come_to_asyncio_too(fake, hidden_names):
    async def work():
        async with AsyncClient(f"local:{fake.path}") as client:
            ids = await asyncio.gather(*(client.put(bytes([n]) * 5000) for n in range(1, 20)))
            found = await asyncio.gather(*(client.get(id) for id in ids))
            assert found == [bytes([n]) * 5000 for n in range(1, 20)]

    asyncio.run(work())


def test_over_grpc_what_has_no_name_here_is_not_reachable(host, hidden_names):
    client = payload_manager.Client(host.address)
    with pytest.raises(payload_manager.NotReachableError):
        client.put(b"far away")
    assert eventually(lambda: client.stats().payloads_uncommitted == 0)


def test_a_client_that_is_killed_holds_nothing_any_more(local_address, leases):
    """Of the real local frontend, where the build has it."""
    script = f"""if True:
        import os, payload_manager, signal
        client = payload_manager.Client({local_address!r})
        view = client.open(client.put(b"killed")).view()
        writer = client.create(10)
        print(client.stats().leases_active, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=60)
    assert int(done.stdout) == 1
    assert eventually(lambda: leases() == 0, 2)
    with payload_manager.Client(local_address) as client:
        assert eventually(lambda: client.stats().payloads_uncommitted == 0, 2)


@pytest.mark.parametrize("wrong", [{"magic": 7}, {"version": 2}])
def test_another_protocol_is_refused_with_words(host, tmp_path, wrong):
    fake = FakeLocalHost(tmp_path / "wrong.sock", host.address, **wrong)
    try:
        with pytest.raises(payload_manager.InternalError, match="version|no host"):
            payload_manager.Client(f"local:{fake.path}").stats()

        async def work():
            async with AsyncClient(f"local:{fake.path}") as client:
                await client.stats()

        with pytest.raises(payload_manager.InternalError, match="version|no host"):
            asyncio.run(work())
    finally:
        fake.close()


def test_the_connection_ends_with_the_client_and_its_last_view(fake, leases):
    client = payload_manager.Client(f"local:{fake.path}")
    view = client.open(client.put(b"last")).view()
    before = leases()
    del client
    gc.collect()
    time.sleep(0.1)
    assert leases() == before
    del view
    gc.collect()
    assert eventually(lambda: leases() == before - 1)
    assert eventually(lambda: fake.sessions[0].connection.fileno() == -1)
