"""Payloads that are being written: committed, discarded, left, or forgotten."""

import gc
import os
import uuid

import numpy
import payload_manager
import pytest
from host import eventually

CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize("options", [{}, {"layout": "slab"}, {"tier": "disk"}, {"tier": 3}])
def test_what_is_committed_is_read(client, options):
    with client.create(len(CONTENT), **options) as writer:
        assert len(writer) == len(CONTENT)
        writer[:] = CONTENT
        id = writer.commit()
    assert id == writer.id and writer.closed
    assert client.get(id) == CONTENT
    assert writer.descriptor.state.name in ("ACTIVE", "DURABLE")


def test_put_takes_anything_with_a_buffer(client):
    array = numpy.arange(12, dtype="<i4").reshape(3, 4)
    assert client.get(client.put(array)) == array.tobytes()
    assert client.get(client.put(bytearray(b"abc"))) == b"abc"
    assert client.get(client.put(memoryview(b"abcd")[1:3])) == b"bc"
    with pytest.raises(TypeError):
        client.put("text")
    with pytest.raises(payload_manager.InvalidArgumentError, match="0 bytes"):
        client.put(b"")


def test_a_block_that_is_left_without_commit_discards(client):
    with client.create(100) as writer:
        id = writer.id
        writer[0] = 7
    assert client.stats().payloads_uncommitted == 0
    with pytest.raises(payload_manager.NotFoundError):
        client.resolve(id)
    with pytest.raises(ValueError):
        writer.commit()


def test_an_exception_in_a_block_discards_and_is_told(client):
    with pytest.raises(ZeroDivisionError):
        with client.create(100) as writer:
            writer[0] = 1 // 0
    with pytest.raises(payload_manager.NotFoundError):
        client.resolve(writer.id)


def test_a_writer_that_is_forgotten_is_discarded(client):
    writer = client.create(100)
    id = writer.id
    assert client.resolve(id).state is payload_manager.State.ALLOCATED
    view = writer.view()
    del writer
    gc.collect()
    view[0] = 1
    assert client.resolve(id).state is payload_manager.State.ALLOCATED
    del view
    gc.collect()

    def is_gone():
        try:
            client.resolve(id)
        except payload_manager.NotFoundError:
            return True
        return False

    assert eventually(is_gone)


@pytest.mark.parametrize("options", [{}, {"layout": "slab"}, {"tier": "disk"}])
def test_views_of_a_writer_reach_the_payload_until_its_commit_and_not_after(client, options):
    with client.create(8192, **options) as writer:
        array = writer.numpy("<u4")
        array[:] = 7
        id = writer.commit()
    array[:] = 9
    assert array[0] == 9
    assert set(numpy.frombuffer(client.get(id), "<u4")) == {7}


def test_views_of_a_discarded_block_write_to_nobody(client):
    with client.create(4096, layout="slab") as writer:
        array = writer.numpy()
    other = client.create(4096, layout="slab")
    other[:] = bytes([5]) * 4096
    array[:] = 9
    assert bytes(other) == bytes([5]) * 4096
    other.discard()


def test_a_commit_with_a_request_id_can_be_repeated(client):
    with client.create(10) as writer:
        once = str(uuid.uuid4())
        writer.commit(request_id=once)
        with pytest.raises(ValueError):
            writer.commit(request_id=once)
        reply = client.call("PayloadCatalogService/CommitPayload", id={"value": writer.id.bytes},
                            request_id=once)
        assert reply.payload_descriptor.payload_id.value == writer.id.bytes


def test_a_commit_that_fails_leaves_the_writer_as_it_is(client, host):
    with client.create(4096, tier="disk") as writer:
        os.truncate(writer.descriptor.location.name, 100)
        with pytest.raises(payload_manager.FailedPreconditionError) as raised:
            writer.commit()
        assert raised.value.reason == "WRITER_CHANGED_LENGTH"
        assert not writer.closed
    assert client.stats().payloads_uncommitted == 0


def test_a_writer_that_has_expired_is_left_without_an_error(client):
    with client.create(10, ttl_ms=1) as writer:
        assert eventually(lambda: client.stats().payloads_uncommitted == 0)
    assert writer.closed
