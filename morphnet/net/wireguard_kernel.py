"""
A WireGuard of this machine that is ours: in its kernel, configured over generic netlink.

Source: linux/wireguard.h; pyroute2's `WireGuard`, whose calls are answered within the system call.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pyroute2 import WireGuard
from pyroute2.netlink.exceptions import NetlinkError
from twisted.internet.defer import Deferred, execute, succeed

from morphnet.errors import HostError
from morphnet.wire.wireguard import Changes, Peer, Seen, Told


class KernelWireGuard:
    """
    The device of that name, which is there.

    :param netlink: opens a socket to the kernel.
    """

    what = "the kernel's WireGuard"

    def __init__(self, device: str, netlink: Callable[[], Any] = WireGuard) -> None:
        self._device, self._open = device, netlink

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        try:
            netlink = self._open()
            try:
                yield netlink
            finally:
                netlink.close()
        except (NetlinkError, OSError) as trouble:
            why = trouble.args[1] if len(trouble.args) > 1 else trouble
            raise HostError(f"the WireGuard device {self._device}: {why}") from trouble

    def told(self) -> Deferred[Told]:
        return execute(self._told)

    def _told(self) -> Told:
        with self._asking() as netlink:
            return told_by(list(netlink.info(self._device)))

    def change(self, changes: Changes) -> Deferred[None]:
        return execute(self._change, changes)

    def _change(self, changes: Changes) -> None:
        with self._asking() as netlink:
            if changes.private_key or changes.port:
                words = {"private_key": changes.private_key or None, "listen_port": changes.port or None}
                netlink.set(self._device, **words)
            for gone in changes.gone:
                netlink.set(self._device, peer={"public_key": gone, "remove": True})
            for each in changes.put:
                peer = {"public_key": each.public_key, "preshared_key": each.preshared_key}
                where = _split(each.last) if each.last else {}
                ways = {"replace_allowed_ips": True, "allowed_ips": list(each.allowed)}
                netlink.set(self._device, peer={**peer, **where, **ways, "persistent_keepalive": each.keepalive})

    def stop(self) -> Deferred[None]:
        return succeed(None)  # it is deleted as a change of the machine


def told_by(answers: list[Any]) -> Told:
    """
    What the kernel has told, in one answer or in several; a peer may be continued in the next one.

    :param answers: pyroute2's messages.
    """
    private, port, seen = "", 0, dict[str, Seen]()
    for answer in answers:
        private = _key(answer.get_attr("WGDEVICE_A_PRIVATE_KEY")) or private
        port = answer.get_attr("WGDEVICE_A_LISTEN_PORT") or port
        for said in answer.get_attr("WGDEVICE_A_PEERS") or ():
            each = _seen(said)
            before = seen.get(each.peer.public_key)
            if before is not None:
                allowed = tuple(sorted({*before.peer.allowed, *each.peer.allowed}))
                each = replace(before, peer=replace(before.peer, allowed=allowed))
            seen[each.peer.public_key] = each
    return Told(private, port, tuple(seen.values()))


def _seen(said: Any) -> Seen:
    allowed = tuple(sorted(each["addr"] for each in said.get_attr("WGPEER_A_ALLOWEDIPS") or ()))
    public, shared = (_key(said.get_attr(f"WGPEER_A_{name}_KEY")) for name in ("PUBLIC", "PRESHARED"))
    last, where = said.get_attr("WGPEER_A_LAST_HANDSHAKE_TIME"), said.get_attr("WGPEER_A_ENDPOINT")
    return Seen(
        Peer(public, shared, allowed, int(said.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") or 0)),
        _place(where["addr"], where["port"]) if where else "",
        int(last["tv_sec"]) if last else 0,
        int(said.get_attr("WGPEER_A_RX_BYTES") or 0),
        int(said.get_attr("WGPEER_A_TX_BYTES") or 0),
    )


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(place: str) -> dict[str, object]:
    host, _, port = place.rpartition(":")
    return {"endpoint_addr": host.strip("[]"), "endpoint_port": int(port)}


def _key(said: Any) -> str:
    """In base64; "" for none, which is all zeros."""
    text = said["value"] if isinstance(said, dict) else said
    if not text:
        return ""
    text = text.decode() if isinstance(text, bytes) else str(text)
    return text if any(base64.b64decode(text)) else ""
