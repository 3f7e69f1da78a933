"""
A real XMPP client, slixmpp, that uploads a file by XEP-0363 as it does for its user, in a process of its own.

    python -m tests.lab.xmpp_upload JID PASSWORD PORT FILE TYPE [slot|COUNT|told]

It prints one JSON object: with `slot` the slot that it was given, or so many of them in `slots`, else the address of
the file; with `told` why not.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0363.http_upload import FileTooBig

PATIENCE = 20.0  # seconds


async def upload(jid: str, password: str, port: int, file: Path, kind: str, wanted: str) -> dict[str, Any]:
    """Log in, find the upload service, ask for a slot and use it."""
    client = slixmpp.ClientXMPP(jid, password)
    client.enable_plaintext, client.enable_starttls, client.enable_direct_tls = True, False, False
    client["feature_mechanisms"].unencrypted_scram = client["feature_mechanisms"].unencrypted_plain = True
    for plugin in ("xep_0030", "xep_0363"):
        client.register_plugin(plugin)
    started = asyncio.Event()
    client.add_event_handler("session_start", lambda _: started.set())
    client.connect("127.0.0.1", port)
    try:
        await asyncio.wait_for(started.wait(), PATIENCE)
        plugin = client["xep_0363"]
        if not wanted:
            return {"url": str(await plugin.upload_file(file, content_type=kind, timeout=PATIENCE))}
        if wanted == "told":
            return await _told(client, file, kind)
        service = await plugin.find_upload_service(client.boundjid.domain)
        slots = []
        for _ in range(int(wanted) if wanted != "slot" else 1):
            answer = await plugin.request_slot(service["from"], file.name, file.stat().st_size, kind)
            put = answer["http_upload_slot"]["put"]
            headers = {each["name"]: each["value"] for each in put["headers"]}
            slots.append({"put": put["url"], "headers": headers, "get": answer["http_upload_slot"]["get"]["url"]})
        return slots[0] if wanted == "slot" else {"slots": slots}
    finally:
        await client.disconnect()


async def _told(client: Any, file: Path, kind: str) -> dict[str, Any]:
    """The address, or what the service says instead; asked even if the client knows that the file is too large."""
    plugin = client["xep_0363"]
    try:
        try:
            return {"url": str(await plugin.upload_file(file, content_type=kind, timeout=PATIENCE))}
        except FileTooBig:
            await plugin.request_slot(plugin.upload_service, file.name, file.stat().st_size, kind)
    except IqError as refused:
        error = refused.iq["error"]
        sizes = [each.text for each in error.xml.iter("{urn:xmpp:http:upload:0}max-file-size")]
        said = {"condition": error["condition"], "type": error["type"], "text": error["text"]}
        return {**said, "max_size": sizes[0] if sizes else ""}
    raise AssertionError("a file that is too large was given a slot")


def main() -> None:
    """Upload one file."""
    jid, password, port, file, kind, *more = sys.argv[1:]
    done = asyncio.run(upload(jid, password, int(port), Path(file), kind, "".join(more)))
    print(json.dumps(done))


if __name__ == "__main__":
    main()
