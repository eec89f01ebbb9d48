"""The client for asyncio."""

import asyncio
import gc
import time
import uuid

import numpy
import payload_manager
import pytest
from host import eventually
from payload_manager import AsyncClient

CONTENT = bytes(range(256)) * 64


async def eventually_async(condition, seconds=5):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.01)
    return True


def test_payloads_are_written_and_read(address, leases):
    async def work():
        async with AsyncClient(address) as client:
            async with client.create(len(CONTENT), labels={"a": "b"}) as writer:
                writer[:] = CONTENT
                id = await writer.commit()
            before = leases()
            async with client.open(id) as payload:
                array = numpy.frombuffer(payload, numpy.uint8)
                assert array.__array_interface__["data"] == (payload.address, True)
                assert array.tobytes() == CONTENT
                assert leases() == before + 1
                del array
            assert leases() == before and payload.closed
            payload = await client.open(str(id))
            await payload.close()
            assert await client.get(await client.put(b"abc", tier="disk")) == b"abc"
            found = [each.id async for each in client.list(filter="labels.a = \"b\"")]
            assert id in found
            assert (await client.resolve(id)).size_bytes == len(CONTENT)
            await client.spill(id)
            await client.promote(id, "ram")
            assert await client.update_labels(id, remove=["a"]) == {}
            await client.delete(id)
            assert (await client.stats()).payloads_uncommitted == 0

    asyncio.run(work())


def test_many_calls_are_under_way_at_once(address):
    async def work():
        async with AsyncClient(address) as client:
            contents = [bytes([n]) * 1000 for n in range(1, 101)]
            ids = await asyncio.gather(*(client.put(each) for each in contents))
            assert await asyncio.gather(*(client.get(id) for id in ids)) == contents
            await asyncio.gather(*(client.delete(id) for id in ids))

    asyncio.run(work())


def test_a_block_that_is_left_without_commit_discards(address):
    async def work():
        async with AsyncClient(address) as client:
            with pytest.raises(ZeroDivisionError):
                async with client.create(10):
                    1 // 0
            assert (await client.stats()).payloads_uncommitted == 0
            writer = await client.create(10)
            del writer
            gc.collect()
            while (await client.stats()).payloads_uncommitted:
                await asyncio.sleep(0.01)

    asyncio.run(work())


def test_a_view_keeps_its_lease_behind_the_client_and_gives_it_back(address, leases):
    async def work():
        client = AsyncClient(address)
        before = leases()
        view = (await client.open(await client.put(CONTENT), lease_ms=1000)).view()
        await client.close()
        with pytest.raises(payload_manager.ClosedError):
            await client.stats()
        del client
        gc.collect()
        await asyncio.sleep(2.2)
        assert leases() == before + 1
        assert bytes(view) == CONTENT
        del view
        gc.collect()
        assert await eventually_async(lambda: leases() == before, 0.8)

    asyncio.run(work())


def test_a_view_that_outlives_its_loop_is_harmless(address, leases):
    before = leases()

    async def work():
        async with AsyncClient(address) as client:
            return (await client.open(await client.put(CONTENT), lease_ms=300)).numpy()

    array = asyncio.run(work())
    assert array.tobytes() == CONTENT
    del array
    gc.collect()
    assert eventually(lambda: leases() == before)


def test_errors_have_the_server_s_reason(address):
    async def work():
        async with AsyncClient(address) as client:
            with pytest.raises(payload_manager.NotFoundError) as raised:
                async with client.open(uuid.uuid4()):
                    pass
            assert raised.value.reason == "PAYLOAD_NOT_FOUND"
            with pytest.raises(payload_manager.InvalidArgumentError):
                await client.open("no id")

    asyncio.run(work())


def test_a_call_that_is_cancelled_harms_no_other(address):
    async def work():
        async with AsyncClient(address) as client:
            id = await client.put(b"abc")
            stream = await client.stream(f"aio/{uuid.uuid4()}").create()

            async def wait_for_ever():
                async for _ in stream.subscribe():
                    pass

            waiting = asyncio.create_task(wait_for_ever())
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await client.get(id) == b"abc"

    asyncio.run(work())


def test_streams_are_asynchronous_iterators(address):
    async def work():
        async with AsyncClient(address) as client:
            id = await client.put(b"x")
            stream = await client.stream(f"aio/{uuid.uuid4()}").create()
            assert await stream.append([id] * 200) == range(200)
            seen = []
            async for entry in stream.subscribe():
                seen.append(entry.offset)
                if len(seen) == 200:
                    await stream.append(id)
                if len(seen) == 201:
                    break
            assert seen == list(range(201))
            assert len(await stream.read(150)) == 51
            await stream.commit("g", 3)
            assert await stream.committed("g") == 3
            await stream.delete()
            with pytest.raises(payload_manager.NotFoundError):
                await stream.read()

    asyncio.run(work())


def test_a_host_that_was_killed_is_found_again(own_host):
    async def work():
        async with AsyncClient(own_host.address) as client:
            id = await client.put(b"again")
            own_host.kill()
            with pytest.raises(payload_manager.UnavailableError):
                await client.stats()
            own_host.start()
            for _ in range(100):
                try:
                    assert await client.get(id) == b"again"
                    return
                except payload_manager.UnavailableError:
                    await asyncio.sleep(0.05)
            raise AssertionError("not found again")

    asyncio.run(work())
