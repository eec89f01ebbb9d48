"""Pickles whose large buffers are payloads."""

import gc
import pickle

import numpy
import payload_manager
import pytest
from host import eventually


def test_arrays_come_back_equal_uncopied_and_read_only(client, leases):
    value = {"image": numpy.arange(100_000, dtype="f4").reshape(100, 1000),
             "mask": numpy.asfortranarray(numpy.eye(200)), "name": "x", "small": numpy.ones(3)}
    before = leases()
    data = client.dumps(value)
    assert len(data) < 2000
    ids = client.payload_ids(data)
    assert len(ids) == 2
    found = client.loads(data)
    assert leases() == before + 2
    assert found["name"] == "x" and (found["small"] == 1).all()
    assert (found["image"] == value["image"]).all() and (found["mask"] == value["mask"]).all()
    assert found["mask"].flags.f_contiguous and not found["image"].flags.writeable
    part = found["image"][5]
    del found
    gc.collect()
    assert eventually(lambda: leases() == before + 1)
    assert part[0] == 5000
    del part
    gc.collect()
    assert eventually(lambda: leases() == before)
    for id in ids:
        client.delete(id)


def test_another_process_s_client_loads_them(client, host):
    data = client.dumps([numpy.arange(10_000)], tier="disk", labels={"kind": "pickle"})
    with payload_manager.Client(host.address) as other:
        assert (other.loads(data)[0] == numpy.arange(10_000)).all()
    summary = next(client.list(filter='labels.kind = "pickle"'))
    assert summary.tier is payload_manager.Tier.DISK


def test_without_large_buffers_nothing_is_stored(client):
    assert client.payload_ids(client.dumps({"a": [1, 2, b"abc"]})) == ()
    assert client.loads(client.dumps(numpy.zeros(0))).size == 0
    assert client.loads(client.dumps(numpy.arange(3), inline_bytes_max=0)).tolist() == [0, 1, 2]


def test_a_pickle_that_fails_leaves_no_payloads(client):
    before = client.stats().payloads["ram"]
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
        client.dumps([numpy.arange(10_000), lambda: None])
    assert client.stats().payloads["ram"] == before


@pytest.mark.parametrize("data", [b"", b"short", pickle.dumps(1), b"PMPICKL1\xff\xff\xff\xff"])
def test_what_is_no_such_pickle_is_refused(client, data):
    with pytest.raises(ValueError, match="pickle"):
        client.loads(data)


def test_a_pickle_whose_payload_is_gone_says_so(client):
    data = client.dumps(numpy.arange(10_000))
    client.delete(client.payload_ids(data)[0])
    with pytest.raises(payload_manager.NotFoundError):
        client.loads(data)
