"""
A real XMPP client, slixmpp, that uploads a file by XEP-0363 as it does for its user, in a process of its own.

    python -m tests.lab.xmpp_upload JID PASSWORD PORT FILE TYPE [slot]

It prints one JSON object: with `slot` the slot that it was given, else the address of the file.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import slixmpp

PATIENCE = 20.0  # seconds


async def upload(jid: str, password: str, port: int, file: Path, kind: str, *, only_slot: bool) -> dict[str, Any]:
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
        if not only_slot:
            return {"url": str(await plugin.upload_file(file, content_type=kind, timeout=PATIENCE))}
        service = await plugin.find_upload_service(client.boundjid.domain)
        answer = await plugin.request_slot(service["from"], file.name, file.stat().st_size, kind)
        put = answer["http_upload_slot"]["put"]
        headers = {each["name"]: each["value"] for each in put["headers"]}
        return {"put": put["url"], "headers": headers, "get": answer["http_upload_slot"]["get"]["url"]}
    finally:
        await client.disconnect()


def main() -> None:
    """Upload one file."""
    jid, password, port, file, kind, *more = sys.argv[1:]
    done = asyncio.run(upload(jid, password, int(port), Path(file), kind, only_slot="slot" in more))
    print(json.dumps(done))


if __name__ == "__main__":
    main()
