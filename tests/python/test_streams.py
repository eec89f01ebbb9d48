"""Streams: appended to, read, and followed by iterators."""

import itertools
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone

import payload_manager
import pytest
from payload_manager import Item


@pytest.fixture
def stream(client):
    made = client.stream(f"tests/{uuid.uuid4()}").create()
    yield made
    made.delete()


def test_entries_come_back_as_they_were_appended(client, stream):
    ids = [client.put(bytes([n])) for n in range(1, 4)]
    when = datetime(2024, 5, 17, 12, 30, 45, 123456, timezone(timedelta(hours=2)))
    assert stream.append(ids[0]) == range(0, 1)
    items = [Item(ids[1], when, 1_000_000_007, {"camera": "left"}), ids[2]]
    assert stream.append(items) == range(1, 3)
    entries = stream.read()
    assert [entry.payload_id for entry in entries] == ids
    assert [entry.offset for entry in entries] == [0, 1, 2]
    assert entries[1].event_time == when and entries[1].duration_ns == 1_000_000_007
    assert entries[1].tags == {"camera": "left"} and entries[0].event_time is None
    assert [entry.offset for entry in stream.read(1, max_entries=1)] == [1]


def test_a_subscription_is_an_iterator_over_what_is_there_and_what_comes(client, stream):
    id = client.put(b"x")
    stream.append([id] * 200)

    def add_later():
        time.sleep(0.2)
        stream.append([id] * 100)

    adding = threading.Thread(target=add_later)
    adding.start()
    with stream.subscribe() as entries:
        offsets = [entry.offset for entry in itertools.islice(entries, 300)]
    adding.join()
    assert offsets == list(range(300))
    with stream.subscribe(250) as entries:
        assert next(entries).offset == 250


def test_a_subscription_from_latest_begins_when_it_is_made(client, stream):
    id = client.put(b"x")
    stream.append([id] * 5)
    with stream.subscribe("latest") as entries:
        time.sleep(0.2)
        stream.append(id)
        assert next(entries).offset == 5


def test_a_subscription_ends_with_its_stream(client):
    stream = client.stream(f"tests/{uuid.uuid4()}").create()
    with stream.subscribe() as entries:
        threading.Timer(0.1, stream.delete).start()
        with pytest.raises(payload_manager.NotFoundError) as raised:
            next(entries)
        assert raised.value.reason == "STREAM_NOT_FOUND"


def test_calls_go_on_beside_a_subscription_that_waits(client, stream):
    id = client.put(b"x")
    got = []
    entries = stream.subscribe()
    waiting = threading.Thread(target=lambda: got.append(next(entries).offset))
    waiting.start()
    for _ in range(50):
        assert client.get(id) == b"x"
    stream.append(id)
    waiting.join(10)
    assert got == [0]
    entries.close()


def test_groups_commit_how_far_they_are(client, stream):
    id = client.put(b"x")
    stream.append([id] * 3)
    assert stream.committed("readers") is None
    stream.commit("readers", 2)
    assert stream.committed("readers") == 2
    with pytest.raises(payload_manager.AbortedError) as raised:
        stream.commit("readers", 1)
    assert raised.value.reason == "OFFSET_GOES_BACK"
    stream.commit("readers", 1, allow_rewind=True)
    assert stream.committed("readers") == 1


def test_a_stream_that_is_there_already_is_told(client, stream):
    with pytest.raises(payload_manager.AlreadyExistsError) as raised:
        stream.create()
    assert raised.value.reason == "STREAM_EXISTS"
