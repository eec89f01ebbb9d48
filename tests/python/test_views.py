"""Views: they copy nothing, and keep their lease until the last of them has gone."""

import gc
import os
import pathlib
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy
import payload_manager
import pytest
from host import eventually

CONTENT = bytes(range(256)) * 64


def mapping_of(address):
    """The line of /proc/self/maps in whose range the address lies."""
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if begin <= address < end:
            return line
    raise AssertionError(f"{address:#x} is mapped nowhere")


def address_of(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("layout", ["segment", "slab"])
def test_frombuffer_copies_nothing(client, host, layout):
    id = client.put(CONTENT, layout=layout)
    payload = client.open(id)
    array = numpy.frombuffer(payload, numpy.uint8)
    assert address_of(array) == payload.address
    line = mapping_of(address_of(array))
    assert host.prefix in line and " r--s " in line
    assert array.tobytes() == CONTENT


def test_frombuffer_of_the_file_of_a_payload_on_disk_copies_nothing(client, host):
    id = client.put(CONTENT, tier="disk")
    array = numpy.frombuffer(client.open(id), numpy.uint8)
    assert str(host.directory / "state/payloads") in mapping_of(address_of(array))
    assert array.tobytes() == CONTENT


def test_a_view_is_read_only(client):
    payload = client.open(client.put(CONTENT))
    array = numpy.frombuffer(payload, numpy.uint8)
    assert not array.flags.writeable
    with pytest.raises(ValueError):
        array[0] = 1
    with pytest.raises(ValueError):
        array.flags.writeable = True
    with pytest.raises(TypeError):
        payload.view()[0] = 1
    with pytest.raises(TypeError):
        memoryview(payload)[:2] = b"ab"
    with open("/dev/zero", "rb", buffering=0) as zeros, pytest.raises(TypeError):
        zeros.readinto(payload)


def test_views_keep_the_lease_without_the_payload_and_the_client(address, leases):
    client = payload_manager.Client(address)
    id = client.put(CONTENT)
    before = leases()
    array = numpy.frombuffer(client.open(id), "<u2")
    part = array[10:20]
    assert leases() == before + 1
    del client, array
    gc.collect()
    assert leases() == before + 1
    assert part.tobytes() == CONTENT[20:40]
    with payload_manager.Client(address) as other, pytest.raises(payload_manager.AbortedError) as e:
        other.delete(id)
    assert e.value.reason == "PAYLOAD_LEASED"
    del part
    gc.collect()
    assert eventually(lambda: leases() == before)


def test_garbage_that_refers_to_itself_gives_its_lease_back(client, leases):
    id = client.put(CONTENT)
    before = leases()
    ring = [numpy.frombuffer(client.open(id), numpy.uint8)]
    ring.append(ring)
    assert leases() == before + 1
    del ring
    gc.collect()
    assert eventually(lambda: leases() == before)


def test_the_end_of_a_block_gives_the_lease_back_before_it_returns(client, leases):
    id = client.put(CONTENT)
    before = leases()
    with client.open(id) as payload:
        assert leases() == before + 1
        assert bytes(payload) == CONTENT
        assert len(payload) == payload.nbytes == len(CONTENT)
        assert payload[3] == 3 and payload[5:7].tobytes() == CONTENT[5:7]
    assert leases() == before
    assert payload.closed
    with pytest.raises(ValueError, match="closed"):
        bytes(payload)
    with pytest.raises(ValueError):
        payload.address
    payload.close()
    client.delete(id)


def test_an_exception_in_a_block_gives_the_lease_back(client, leases):
    id = client.put(CONTENT)
    before = leases()
    with pytest.raises(ZeroDivisionError):
        with client.open(id):
            1 // 0
    assert leases() == before


def test_a_view_that_outlives_its_block_keeps_the_lease(client, leases):
    id = client.put(CONTENT)
    before = leases()
    with client.open(id) as payload:
        array = payload.numpy()
    assert payload.closed and leases() == before + 1
    assert array.tobytes() == CONTENT
    del array
    assert eventually(lambda: leases() == before)


def test_numpy_takes_type_and_shape(client):
    content = numpy.arange(24, dtype="<f8").reshape(2, 3, 4)
    with client.open(client.put(content)) as payload:
        found = payload.numpy("<f8", (2, 3, 4))
        assert (found == content).all() and address_of(found) == payload.address
        with pytest.raises(ValueError):
            payload.numpy("<f8", (5, 5))


def test_torch_sees_the_same_bytes_and_keeps_the_lease(client, leases):
    torch = pytest.importorskip("torch", reason="torch is not installed (python3-torch)")
    content = numpy.arange(64, dtype="float32")
    id = client.put(content)
    before = leases()
    with client.open(id) as payload:
        tensor = payload.torch(torch.float32, (8, 8))
        assert tensor.data_ptr() == payload.address
    part = tensor[3]
    del tensor, payload
    gc.collect()
    assert leases() == before + 1
    assert part.tolist() == content[24:32].tolist()
    del part
    gc.collect()
    assert eventually(lambda: leases() == before)


def test_slabs_are_mapped_once_and_their_payloads_lie_side_by_side(client, host):
    content = [bytes([number]) * 5000 for number in range(8)]
    payloads = [client.open(client.put(each, layout="slab")) for each in content]
    assert [bytes(payload) for payload in payloads] == content
    lines = {mapping_of(payload.address) for payload in payloads}
    assert len(lines) == 1


def test_payloads_in_use_hold_no_file_descriptors(client):
    id = client.put(CONTENT)
    first = client.open(id)
    before = len(os.listdir("/proc/self/fd"))
    views = [client.open(id).view() for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(view == first.view() for view in views)


def test_the_mapping_goes_with_the_last_view(client):
    id = client.put(CONTENT)
    payload = client.open(id)
    view = payload.view()
    payload.close()
    # A segment is named by its payload.
    assert str(id) in pathlib.Path("/proc/self/maps").read_text()
    view.release()
    assert str(id) not in pathlib.Path("/proc/self/maps").read_text()


def test_views_die_in_many_threads_at_once(client, leases):
    id = client.put(CONTENT)
    before = leases()
    failures = []

    def work():
        try:
            for _ in range(25):
                with client.open(id) as payload:
                    array = payload.numpy()
                assert array[255] == 255
                del array
                weakref.ref(client.open(id))
                client.open(id).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert eventually(lambda: leases() == before)


def test_the_end_of_the_interpreter_gives_leases_back(address, client, leases):
    id = client.put(CONTENT)
    before = leases()
    script = textwrap.dedent(f"""
        import numpy, payload_manager
        client = payload_manager.Client({address!r})
        kept = numpy.frombuffer(client.open("{id}"), numpy.uint8)
        writer = client.create(100)
        print(client.stats().leases_active)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    assert int(done.stdout) == before + 1
    assert eventually(lambda: leases() == before, 2)
    assert client.stats().payloads_uncommitted == 0


def test_a_payload_is_not_pickled(client):
    import pickle
    with client.open(client.put(CONTENT)) as payload:
        with pytest.raises(TypeError, match="dumps"):
            pickle.dumps(payload)
