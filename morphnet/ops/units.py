"""Quantities as a person reads them, three digits each."""

from __future__ import annotations

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_BITS = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")


def digits(value: float) -> str:
    """Three digits: 0.12, 1.23, 12.3, 123, 1234."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def amount(octets: float) -> str:
    """Bytes: "0 B", "1.23 MiB"."""
    power = 0
    while octets >= 1000 and power < len(_BYTES) - 1:
        octets, power = octets / 1024, power + 1
    return f"{octets:.0f} B" if not power else f"{digits(octets)} {_BYTES[power]}"


def volume(octets: float) -> str:
    """Bytes as networks sell them, in thousands: "0 B", "20.0 GB"."""
    units = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    power, unit = next((each for each in units if octets >= each[0]), (1.0, "B"))
    return f"{digits(octets / power)} {unit}" if power > 1 else f"{octets:.0f} B"


def speed(octets: float) -> str:
    """Bytes a second, in bits as networks are sold: "18.2 Mbit/s"; "-" when not measured."""
    if octets <= 0:
        return "-"
    bits, power = octets * 8, 0
    while bits >= 999.5 and power < len(_BITS) - 1:
        bits, power = bits / 1000, power + 1
    return f"{digits(bits) if power else round(bits)} {_BITS[power]}"


def delay(seconds: float | None) -> str:
    """A round-trip time: "23.1 ms", "1.23 s"; "-" when not measured."""
    if seconds is None:
        return "-"
    return f"{digits(seconds)} s" if seconds >= 1 else f"{digits(seconds * 1000)} ms"


def part(share: float) -> str:
    """A share of 0 .. 1: "0%", "0.4%", "62%"."""
    percent = share * 100
    return f"{percent:.1f}%" if 0.05 <= percent < 9.95 else f"{percent:.0f}%"


def span(seconds: float) -> str:
    """A duration, two units of it: "3s", "2m 5s", "4h 12m", "3d 4h", "120d"."""
    whole = max(0, int(seconds))
    if whole >= 100 * 86400:
        return f"{whole // 86400}d"
    for size, name, lower, lower_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // lower
            return f"{whole // size}{name} {rest}{lower_name}" if rest else f"{whole // size}{name}"
    return f"{whole}s"
