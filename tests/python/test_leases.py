"""Leases in the background: renewed while a view lives, and what is said when that fails."""

import gc
import logging
import os
import time

import payload_manager
import pytest
from host import eventually


def test_a_lease_is_renewed_while_a_view_lives(client, leases):
    id = client.put(b"long")
    before = leases()
    view = client.open(id, lease_ms=1000).view()
    until = time.monotonic() + 2.2
    while time.monotonic() < until:
        assert leases() == before + 1
        time.sleep(0.05)
    del view
    gc.collect()
    assert eventually(lambda: leases() == before, 0.8)


def test_a_short_lease_is_renewed_in_time_after_a_long_one(client, leases):
    id = client.put(b"both")
    before = leases()
    views = [client.open(id, lease_ms=60_000).view(), client.open(id, lease_ms=1000).view()]
    time.sleep(2.2)
    assert leases() == before + 2
    del views
    gc.collect()
    assert eventually(lambda: leases() == before)


def test_a_lease_that_a_forced_delete_ended_is_told_to_be_lost(client, caplog):
    payload = client.open(client.put(b"forced"), lease_ms=300)
    assert payload.is_held
    with caplog.at_level(logging.WARNING, "payload_manager"):
        client.delete(payload.id, force=True)
        assert eventually(lambda: not payload.is_held)
        assert "the bytes may change" in caplog.text
    assert bytes(payload) == b"forced"
    payload.close()


def test_a_host_that_stays_away_is_noticed_when_the_lease_is_over(own_host):
    client = payload_manager.Client(own_host.address)
    payload = client.open(client.put(b"alone"), lease_ms=600)
    own_host.kill()
    assert payload.is_held
    assert eventually(lambda: not payload.is_held)
    payload.close()


def test_a_holder_is_listed(client):
    with client.open(client.put(b"x"), holder="reader 7"):
        reply = client.call("PayloadDataService/ListLeases", holder="reader 7")
        assert len(reply.leases) == 1


def test_a_forked_child_is_refused_and_ends_nothing(client, leases):
    id = client.put(b"forked")
    before = leases()
    payload, other = client.open(id), client.open(id)
    view = payload.view()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"nothing"
        try:
            client.stats()
        except payload_manager.ForkedError as error:
            said = error.reason.encode() + b" " + bytes(view)
        try:
            payload.close()
            other.close()
            del view, payload
            gc.collect()
        except Exception as error:
            said = repr(error).encode()
        os.write(writer, said)
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 100) == b"FORKED forked"
    os.waitpid(child, 0)
    time.sleep(0.1)
    assert leases() == before + 2
    assert client.get(id) == b"forked"


def test_a_forked_child_that_ends_as_python_does_ends_nothing(client, leases):
    before = leases()
    payload = client.open(client.put(b"forked"))
    writer = client.create(10)
    child = os.fork()
    if child == 0:
        import atexit
        atexit._run_exitfuncs()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert leases() == before + 1
    writer[:] = b"0123456789"
    assert client.get(writer.commit()) == b"0123456789"
    payload.close()


@pytest.mark.parametrize("count", [1, 700])
def test_many_leases_go_back_at_once(client, leases, count):
    id = client.put(b"many")
    before = leases()
    views = [client.open(id).view() for _ in range(count)]
    assert leases() == before + count
    views.clear()
    assert eventually(lambda: leases() == before)


def test_what_was_given_back_is_forgotten(client):
    id = client.put(b"x")
    for _ in range(10):
        client.open(id).close()
        client.create(10).discard()
    assert not client._connection.keeper._held
