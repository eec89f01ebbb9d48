#!/usr/bin/env python3
"""A camera and two viewers: frames go from process to process without being copied.

    frames.py [--frames N]      $PM_ADDRESS says where the host is

The camera writes each frame into the host's shared memory and appends its id to a stream. Each
viewer is a process of its own, follows the stream, and looks at the same memory.
"""

import argparse
import multiprocessing
import uuid

import numpy
import payload_manager

SHAPE = (480, 640)


def view(stream, count, sums):
    """Adds up every frame, and sends the sums to the parent."""
    client = payload_manager.Client()
    found = []
    with client.stream(stream).subscribe() as entries:
        for entry in entries:
            with client.open(entry.payload_id) as payload:
                found.append(int(payload.numpy("<u2", SHAPE).sum()))
            if len(found) == count:
                break
    sums.put(found)


def film(client, stream, count):
    """Returns the sum of each frame."""
    written = []
    for number in range(count):
        with client.create(2 * SHAPE[0] * SHAPE[1], ttl_ms=60_000) as writer:
            frame = writer.numpy("<u2", SHAPE)
            frame[:] = number
            frame[number % SHAPE[0]] += 1
            written.append(int(frame.sum()))
            client.stream(stream).append(writer.commit())
    return written


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    count = parser.parse_args().frames
    # A forked child could not use gRPC, or any client of its parent's.
    processes = multiprocessing.get_context("spawn")
    sums = processes.Queue()
    name = f"examples/{uuid.uuid4()}"
    with payload_manager.Client() as client:
        client.stream(name).create()
        viewers = [processes.Process(target=view, args=(name, count, sums)) for _ in range(2)]
        for viewer in viewers:
            viewer.start()
        written = film(client, name, count)
        seen = [sums.get(timeout=60) for _ in viewers]
        for viewer in viewers:
            viewer.join()
        client.stream(name).delete()
    if any(found != written for found in seen):
        raise SystemExit("a viewer saw other frames than the camera wrote")
    print(f"{count} frames, seen by {len(seen)} viewers in place: all the same")


if __name__ == "__main__":
    main()
