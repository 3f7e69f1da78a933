"""Firewalls of others on a gateway, made with their own tools on a real kernel: cases of host_box."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from morphnet.host.firewall import Obstacle, obstacles, sentence
from morphnet.host.linux import LinuxKernel
from tests.lab.host_machine import Seen, machine

POOLS = ("10.73.0.0/24", "fd73::/64")
TOOLS = os.defpath + ":/usr/sbin:/sbin"

# What each of them leaves behind, as seen on machines that run it.
DOCKER = """
iptables-nft -P FORWARD DROP
iptables-nft -N DOCKER-USER
iptables-nft -N DOCKER-ISOLATION-STAGE-1
iptables-nft -A DOCKER-USER -j RETURN
iptables-nft -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j RETURN
iptables-nft -A FORWARD -j DOCKER-USER
iptables-nft -A FORWARD -j DOCKER-ISOLATION-STAGE-1
iptables-nft -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
"""
UFW = """
{tool} -P FORWARD DROP
{tool} -N ufw-before-forward
{tool} -N ufw-user-forward
{tool} -A FORWARD -j ufw-before-forward
{tool} -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{tool} -A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
{tool} -A ufw-before-forward -j ufw-user-forward
{tool} -A FORWARD -m limit --limit 3/min -j LOG --log-prefix "[UFW BLOCK] "
"""
FIREWALLD = """
nft add table inet firewalld
nft add chain inet firewalld filter_FORWARD '{{ type filter hook forward priority 10; policy accept; }}'
nft add chain inet firewalld filter_FWD_public
nft add chain inet firewalld filter_FWD_trusted
nft add rule inet firewalld filter_FWD_trusted accept
nft add rule inet firewalld filter_FORWARD ct state '{{ established, related }}' accept
nft add rule inet firewalld filter_FORWARD ct status dnat accept
nft add rule inet firewalld filter_FORWARD iifname lo accept
nft add rule inet firewalld filter_FORWARD iifname vmap '{{ "wan" : jump filter_FWD_public {more} }}'
nft add rule inet firewalld filter_FORWARD ct state invalid drop
nft add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited
"""
PLAIN = """
nft add table inet mine
nft add chain inet mine forwarded '{{ type filter hook forward priority 0; policy drop; }}'
nft add rule inet mine forwarded ct state established,related accept
nft add rule inet mine forwarded {more}
"""
NO_ANSWERS = """
nft add table ip mine
nft add chain ip mine f '{ type filter hook forward priority 0; policy drop; }'
nft add rule ip mine f iifname morph0 accept
"""
LEGACY = "iptables-legacy -P FORWARD DROP\niptables-legacy -A FORWARD -i lan -o wan -j ACCEPT\n"
CLEAN = "nft flush ruleset; iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F; iptables-legacy -X"

SETUPS = {
    "nothing": "true",
    "docker": DOCKER,
    "ufw": UFW.format(tool="iptables-nft"),
    "firewalld": FIREWALLD.format(more=""),
    "firewalld, trusted": FIREWALLD.format(more=', "morph0" : jump filter_FWD_trusted'),
    "plain": PLAIN.format(more="iifname lan accept"),
    "plain, by its network": PLAIN.format(more="ip saddr 10.73.0.0/24 accept"),
    "plain, answers only": PLAIN.format(more="oifname morph0 accept"),
    "plain, ports": PLAIN.format(more="tcp dport 443 accept"),
    "no answers": NO_ANSWERS,
    "legacy": LEGACY,
    "legacy ufw": UFW.format(tool="iptables-legacy"),
    "legacy, by a wildcard": LEGACY + "iptables-legacy -A FORWARD -i morph+ -j ACCEPT\n"
    "iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
}


def firewalls(place: Path) -> Seen:
    """By firewall: which chains are in the way, what is said of them, and what is left after the cure."""
    os.environ["PATH"] = TOOLS
    machine()
    kernel, seen = LinuxKernel(), Seen()
    for name, setup in SETUPS.items():
        _shell(CLEAN)
        _shell(setup)
        found = _asked(kernel)
        seen[name] = {"where": sorted({(each.family, each.where) for each in found}), "said": sentence(found)}
        if found and all(shutil.which(each.cure.split()[0]) for each in found):
            for each in found:
                _shell(each.cure)
            seen[name]["after"] = [each.where for each in _asked(kernel)]
    os.environ["PATH"] = "/nonexistent"
    return seen


def _asked(kernel: LinuxKernel) -> list[Obstacle]:
    return obstacles(kernel, "morph0", POOLS)


def _shell(text: str) -> None:
    subprocess.run(["sh", "-ec", text], check=True, capture_output=True, env={"PATH": TOOLS})
