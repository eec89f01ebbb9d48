"""Calls: lists, labels, moves, what the server says of errors, kills and restarts of the host."""

import copy
import os
import pickle
import threading
import time
import uuid

import payload_manager
import pytest
from host import eventually
from payload_manager import Code, State, Tier


def test_an_error_has_the_server_s_reason(client):
    missing = uuid.uuid4()
    with pytest.raises(payload_manager.NotFoundError) as raised:
        client.open(missing)
    error = raised.value
    assert error.code is Code.NOT_FOUND and error.reason == "PAYLOAD_NOT_FOUND"
    assert error.metadata["payload"] == str(missing)
    assert "there is no" in error.message and "NOT_FOUND PAYLOAD_NOT_FOUND" in str(error)
    assert isinstance(error, LookupError)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error) and str(twin) == str(error)
        assert twin.metadata == error.metadata


def test_each_refusal_is_the_exception_of_its_code(client):
    id = client.put(b"abc")
    with client.create(10) as writer:
        with pytest.raises(payload_manager.FailedPreconditionError) as raised:
            client.open(writer.id)
        assert raised.value.reason == "PAYLOAD_NOT_COMMITTED"
    with pytest.raises(payload_manager.ResourceExhaustedError) as raised:
        client.create(1 << 30)
    assert raised.value.reason == "TIER_FULL"
    with pytest.raises(payload_manager.FailedPreconditionError) as raised:
        client.create(10, tier="tier-333")
    assert raised.value.reason == "TIER_UNKNOWN"
    with client.open(id), pytest.raises(payload_manager.AbortedError):
        client.delete(id)
    client.delete(id)


@pytest.mark.parametrize("wrong", [
    lambda client: client.open("no id"),
    lambda client: client.open(b"short"),
    lambda client: client.open(17),
    lambda client: client.create(0),
    lambda client: client.create(10, tier="fast"),
    lambda client: client.create(10, tier="tier-7"),
    lambda client: client.create(10, layout="heap"),
    lambda client: client.create(10, priority="urgent"),
    lambda client: next(client.list(filter="tier = ")),
    lambda client: client.stream("s").subscribe("middle"),
])
def test_wrong_arguments_are_refused_with_words(client, wrong):
    with pytest.raises(payload_manager.InvalidArgumentError) as raised:
        wrong(client)
    assert len(raised.value.message) > 10
    assert isinstance(raised.value, ValueError)


def test_ids_are_taken_in_each_form(client):
    id = client.put(b"abc")
    assert isinstance(id, uuid.UUID)
    assert client.get(str(id)) == client.get(id.bytes) == client.get(str(id).upper()) == b"abc"


def test_lists_show_all_pages_with_labels_and_filters(client):
    run = str(uuid.uuid4())
    ids = [client.put(bytes(10 + n), labels={"run": run, "n": str(n)}) for n in range(7)]
    listed = list(client.list(filter=f'labels.run = "{run}"', page_size=2))
    assert [summary.id for summary in listed] == ids[::-1]
    assert listed[0].labels == {"run": run, "n": "6"} and listed[0].size_bytes == 16
    assert listed[0].tier is Tier.RAM and listed[0].state is State.ACTIVE
    by_size = client.list(filter=f'labels.run = "{run}"', order_by="size_bytes")
    assert [summary.id for summary in by_size] == ids
    assert client.update_labels(ids[0], {"a": "b"}, remove=["n"]) == {"run": run, "a": "b"}
    assert not list(client.list(filter=f'labels.run = "{run}"', tier="disk"))


def test_payloads_move_while_ids_stay(client):
    id = client.put(b"moving" * 100)
    client.spill(id)
    assert client.resolve(id).tier is Tier.DISK
    assert client.get(id) == b"moving" * 100
    assert client.promote(id, "ram").tier is Tier.RAM
    with client.open(id, min_tier="ram") as payload:
        assert payload.descriptor.location.kind is payload_manager.LocationKind.MEMORY
        with pytest.raises(payload_manager.AbortedError) as raised:
            client.spill(id)
        assert raised.value.reason == "PAYLOAD_LEASED"
    client.pin(id)
    with pytest.raises(payload_manager.AbortedError) as raised:
        client.spill(id)
    assert raised.value.reason == "PAYLOAD_PINNED"
    client.unpin(id)
    client.spill(id, "disk")


def test_any_method_of_the_contract_can_be_called(client):
    id = client.put(b"abc")
    client.call("PayloadCatalogService/Pin", id={"value": id.bytes}, duration_ms=60_000)
    reply = client.call("/payload.manager.services.v1.PayloadAdminService/ListTiers")
    assert [tier.name for tier in reply.tiers] == ["shm", "disk", "void"]
    with pytest.raises(ValueError, match="no method"):
        client.call("PayloadCatalogService/Fly")


def test_stats_count(client):
    before = client.stats()
    client.put(bytes(1000), tier="disk")
    after = client.stats()
    assert after.payloads["disk"] == before.payloads["disk"] + 1
    assert after.bytes["disk"] == before.bytes["disk"] + 1000
    assert {tier.name for tier in after.tiers} == {"shm", "disk", "void"}


def test_a_closed_client_refuses_and_what_it_handed_out_stays(address, leases):
    client = payload_manager.Client(address)
    payload = client.open(client.put(b"stays"))
    before = leases()
    client.close()
    client.close()
    with pytest.raises(payload_manager.ClosedError):
        client.stats()
    assert bytes(payload) == b"stays" and leases() == before
    payload.close()
    assert leases() == before - 1


def test_without_a_host_it_is_unavailable_at_once(tmp_path):
    for address in (f"unix:{tmp_path}/none", f"local:{tmp_path}/none"):
        begin = time.monotonic()
        with pytest.raises(payload_manager.UnavailableError):
            payload_manager.Client(address).stats()
        assert time.monotonic() - begin < 5


def test_bytes_that_are_not_here_are_not_reachable(client):
    id = client.put(b"gone", tier="disk")
    os.unlink(client.resolve(id).location.name)
    for allow_copy in (False, True):
        with pytest.raises(payload_manager.NotReachableError, match="not on this mac") as raised:
            client.open(id, allow_copy=allow_copy)
        assert raised.value.reason == "NOT_REACHABLE"
        assert ("side channel" in raised.value.message) == allow_copy


def test_a_payload_that_cannot_be_mapped_gives_its_lease_back(client, leases):
    id = client.put(bytes(5000), tier="disk")
    os.truncate(client.resolve(id).location.name, 100)
    before = leases()
    with pytest.raises(payload_manager.TruncatedError):
        client.open(id)
    assert eventually(lambda: leases() == before)


def test_a_kill_of_the_host_during_a_call_is_unavailable_and_the_next_host_is_found(own_host):
    client = payload_manager.Client(own_host.address)
    id = client.put(b"survives")
    view = client.open(id).view()
    failures = []

    def ask():
        try:
            client.stats()
        except payload_manager.PayloadManagerError as error:
            failures.append(error)

    own_host.pause()
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.2)
    own_host.kill()
    asking.join(10)
    assert [type(error) for error in failures] == [payload_manager.UnavailableError]
    assert bytes(view) == b"survives"
    own_host.start()

    def is_back():
        try:
            return client.get(id) == b"survives"
        except payload_manager.UnavailableError:
            return False

    assert eventually(is_back)


def test_a_host_that_hangs_costs_the_deadline(own_host):
    client = payload_manager.Client(own_host.address, deadline_seconds=0.3)
    client.stats()
    own_host.pause()
    begin = time.monotonic()
    with pytest.raises(payload_manager.DeadlineExceededError):
        client.stats()
    assert time.monotonic() - begin < 5
    own_host.go_on()
    assert eventually(lambda: client.stats() is not None)


def test_the_default_address_is_that_of_the_other_clients(monkeypatch, tmp_path):
    monkeypatch.delenv("PM_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    below = "payload-manager/payload-manager.sock"
    assert payload_manager.Client().address == f"unix:/run/{below}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert payload_manager.Client().address == f"unix:/run/{below}"
    (tmp_path / below).parent.mkdir()
    (tmp_path / below).touch()
    assert payload_manager.Client().address == f"unix:{tmp_path}/{below}"
    monkeypatch.setenv("PM_ADDRESS", "elsewhere:50051")
    assert payload_manager.Client().address == "elsewhere:50051"


def test_tls_options_are_checked(tmp_path):
    with pytest.raises(payload_manager.InvalidArgumentError, match="go together"):
        payload_manager.Client("host:1", tls_key_file="key.pem")
    with pytest.raises(payload_manager.InvalidArgumentError, match="cannot read"):
        payload_manager.Client("host:1", tls_ca_file=str(tmp_path / "none.pem"))
