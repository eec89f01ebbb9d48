"""What the tests share: a host for all that do not hurt it, and one client of each transport."""

import gc

import payload_manager
import pytest
from fake_local_host import FakeLocalHost
from host import HAS_LOCAL, Host, eventually


@pytest.fixture(scope="session")
def host():
    made = Host()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def own_host():
    """For tests that kill or stop it."""
    made = Host()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope="session")
def local_address(host):
    """The host's own local frontend where the build has it, else the fake before the host."""
    if HAS_LOCAL:
        yield f"local:{host.local_socket}"
        return
    fake = FakeLocalHost(host.local_socket, host.address)
    yield f"local:{host.local_socket}"
    fake.close()


@pytest.fixture(params=["grpc", "local"])
def address(request, host):
    return host.address if request.param == "grpc" else request.getfixturevalue("local_address")


@pytest.fixture
def client(address):
    with payload_manager.Client(address) as made:
        yield made
    gc.collect()


@pytest.fixture
def leases(host):
    """How many leases the host counts now, asked by a client of its own."""
    with payload_manager.Client(host.address) as other:
        gc.collect()
        eventually(lambda: other.stats().leases_active == 0)  # What earlier tests let go of.
        yield lambda: other.stats().leases_active
