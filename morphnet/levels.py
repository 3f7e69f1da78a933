"""Which counters are levels."""

from __future__ import annotations

# Of what is counted: how much there is now. All else only grows while a process runs, and is missing until it happens.
LEVELS = frozenset(
    {
        "between",
        "blocks_screened",
        "callers_waiting",
        "control_half_open",
        "control_links",
        "ethernet_addresses",
        "homechannel_servers",
        "homes",
        "legacy_sessions",
        "lines",
        "lines_half_open",
        "neighbours",
        "neighbours_guests",
        "passages",
        "phones_connected",
        "queued_bytes",
        "streams",
        "streams_half_open",
        "terminals",
        "uploads_running",
        "visits_kept",
        "visits_linked",
        "visits_relayed",
        "visits_unread",
        "waiting_bytes",
        "web_callers",
        "webhook_waiting",
    }
)
