"""
Many TCP connections at once as a program, in one thread a side: one side gives zeros by all of them, the other counts.

    python -m morphnet.lab.crowded take PORT
    python -m morphnet.lab.crowded give PORT HOST --connections N

Who gives opens them all before it begins, and says when: {"connected": N}. Who takes prints a line every EVERY seconds
from the first byte on, as lab/streams does: {"mbit_s": RATE, "at": SECONDS}. What came is thrown away by the kernel, so
that a benchmark measures the way and not the ends.

Source: tcp(7), MSG_TRUNC and TCP_NOTSENT_LOWAT; epoll(7).
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import resource
import select
import socket
import sys
import time

EVERY = 0.5  # seconds
BLOCK = 1 << 18  # bytes of one system call at most
UNSENT = 16 << 20  # bytes not yet on the wire, of all connections together
LEAST_UNSENT, MOST_UNSENT = 4096, 1 << 18  # and of one
AT_ONCE = 256  # connections that are being opened
SPARE = 64  # files besides
_TCP_NOTSENT_LOWAT = 25


def allow_files(count: int) -> None:
    """As many files as so many connections need; the machine's limit is not raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + SPARE:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + SPARE), hard))


def unsent(connections: int) -> int:
    """Bytes that each may have with the kernel and not yet on the wire."""
    return max(LEAST_UNSENT, min(MOST_UNSENT, UNSENT // connections))


def take(port: int) -> None:
    """Count, until killed."""
    allow_files(1 << 20)
    listening = socket.create_server(("0.0.0.0", port), backlog=4096)
    listening.setblocking(False)
    print(json.dumps({"listening": port}), flush=True)
    poll, block, number = select.epoll(), bytearray(4 * BLOCK), listening.fileno()
    poll.register(number, select.EPOLLIN)
    there: dict[int, socket.socket] = {}
    taken, told, tell_at, told_at = 0, 0, float("inf"), 0.0
    while True:
        for ready, _ in poll.poll(0.05):
            if ready == number:
                for connection in _accepted(listening):
                    there[connection.fileno()] = connection
                    poll.register(connection, select.EPOLLIN)
                continue
            got = _took(there[ready], block)
            if got < 0:
                there.pop(ready).close()
            taken += max(0, got)
        now = time.monotonic()
        if tell_at == float("inf") and taken:
            tell_at, told_at = now + EVERY, now
        if now >= tell_at:
            print(json.dumps({"mbit_s": round((taken - told) * 8e-6 / (now - told_at), 3), "at": now}), flush=True)
            told, told_at, tell_at = taken, now, now + EVERY


def _accepted(listening: socket.socket) -> list[socket.socket]:
    found = list[socket.socket]()
    while len(found) < AT_ONCE:
        try:
            connection, _ = listening.accept()
        except OSError:
            break
        connection.setblocking(False)
        found.append(connection)
    return found


def _took(connection: socket.socket, block: bytearray) -> int:
    """Bytes; -1 when it has ended."""
    try:
        return connection.recv_into(block, 0, socket.MSG_TRUNC) or -1
    except BlockingIOError:
        return 0
    except OSError:
        return -1


def connected(host: str, port: int, count: int) -> list[socket.socket]:
    """
    So many connections.

    :raises OSError: one of them was refused.
    """
    allow_files(count)
    poll, opening, done = select.epoll(), dict[int, socket.socket](), list[socket.socket]()
    while len(done) < count:
        while len(opening) < min(AT_ONCE, count - len(done)):
            each = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            each.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, unsent(count))
            failed = each.connect_ex((host, port))
            if failed not in (0, errno.EINPROGRESS):
                raise OSError(failed, os.strerror(failed))
            opening[each.fileno()] = each
            poll.register(each, select.EPOLLOUT)
        for ready, _ in poll.poll(1.0):
            each = opening.pop(ready)
            poll.unregister(ready)
            failed = each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, os.strerror(failed))
            done.append(each)
    poll.close()
    return done


def give(port: int, host: str, count: int) -> None:
    """Until the other side has gone."""
    there = {each.fileno(): each for each in connected(host, port, count)}
    print(json.dumps({"connected": len(there)}), flush=True)
    poll, block = select.epoll(), bytes(BLOCK)
    for each in there:
        poll.register(each, select.EPOLLOUT)
    while there:
        for ready, _ in poll.poll():
            try:
                there[ready].send(block)
            except BlockingIOError:
                continue
            except OSError:
                there.pop(ready).close()


def main(arguments: list[str]) -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(prog="crowded")
    parser.add_argument("side", choices=("take", "give"))
    parser.add_argument("port", type=int)
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("--connections", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.side == "take":
        take(options.port)
    else:
        give(options.port, options.host, options.connections)


if __name__ == "__main__":
    main(sys.argv[1:])
