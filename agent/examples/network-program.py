#!/usr/bin/python3
"""A network program for `muster-agent --network exec`, as a vendor would write one.

The contract is docs/guide/src/vendors.md. This one sets the kernel with `ip` and keeps its settings in one file, from which
a script at boot, or the agent's `resume`, brings them up again. One JSON object comes in, one goes out.
"""

import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import time

VERSION = 1
FOLDER = "/var/lib/example-network"
SETTINGS = f"{FOLDER}/settings.json"
RESOLVER = "/etc/resolv.conf"
# systemd-timesyncd reads it when it starts; a real program would restart it.
TIME = "/etc/systemd/timesyncd.conf.d/example.conf"
# Before a router that advertises itself, whose route the kernel gives 1024.
METRIC6 = ["metric", "512"]


class Refused(Exception):
    """`error` is invalid, unsupported, storage or failed."""

    def __init__(self, error, message):
        super().__init__(message)
        self.error = error


def main():
    try:
        answer = {"version": VERSION, "ok": True, **carry_out(sys.stdin.read())}
    except Refused as refused:
        answer = {"version": VERSION, "ok": False, "error": refused.error, "message": str(refused)}
    except OSError as error:
        word = "storage" if error.errno in (28, 30) else "failed"  # ENOSPC, EROFS
        answer = {"version": VERSION, "ok": False, "error": word, "message": str(error)}
    print(json.dumps(answer))
    sys.exit(0 if answer["ok"] else 1)


def carry_out(text):
    try:
        request = json.loads(text)
        version, operation, interface = request["version"], request["operation"], request["interface"]
    except (ValueError, TypeError, KeyError) as error:
        raise Refused("invalid", f"not a request: {error}")
    if version != VERSION:
        raise Refused("unsupported", f"version {version}")
    if not os.path.exists(f"/sys/class/net/{interface}"):
        raise Refused("invalid", f"there is no interface {interface}")
    if operation == "current":
        return {"settings": in_force(interface), "state": state_of(interface)}
    if operation in ("apply", "resume"):
        settings = checked(request.get("settings"))
        # What lasts first: a full disk shows before the network has moved.
        keep(settings)
        bring_up(interface, settings)
    elif operation == "restore":
        restore(interface, request.get("state"))
    elif operation == "reset":
        keep(None)
        flush(interface)
        write_or_remove(TIME, None)
    elif operation != "commit":  # What was applied is on disk already.
        raise Refused("unsupported", f"operation {operation}")
    return {}


def checked(settings):
    """The settings of the contract, and nothing else."""
    try:
        address = ipaddress.IPv4Interface(f"{settings['address']}/{int(settings['prefix'])}")
        gateway = settings["gateway"] and str(ipaddress.IPv4Address(settings["gateway"]))
        dns = [str(ipaddress.ip_address(server)) for server in settings["dns"]]
        ipv6 = settings.get("ipv6") and checked_ipv6(settings["ipv6"])
        names = (settings["host_name"], settings["domain"])
        ntp, search_domains = list(settings.get("ntp", [])), list(settings.get("search_domains", []))
        if not all(map(is_name, (*names, *search_domains))) or not all(is_name(s) or is_address(s) for s in ntp):
            raise ValueError("a name is not one")
    except (ValueError, TypeError, KeyError) as error:
        raise Refused("invalid", f"settings: {error}")
    checked = {
        "host_name": names[0],
        "domain": names[1],
        "address": str(address.ip),
        "prefix": address.network.prefixlen,
        "netmask": str(address.netmask),
        "gateway": gateway,
        "dns": dns,
    }
    # What there is none of is not told.
    more = {"ipv6": ipv6, "ntp": ntp, "search_domains": search_domains}
    return {**checked, **{name: value for name, value in more.items() if value}}


def is_name(text):
    return re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", text)


def is_address(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def checked_ipv6(ipv6):
    address = ipaddress.IPv6Interface(f"{ipv6['address']}/{int(ipv6['prefix'])}")
    gateway = ipv6["gateway"] and str(ipaddress.IPv6Address(ipv6["gateway"]))
    return {"address": str(address.ip), "prefix": address.network.prefixlen, "gateway": gateway}


def bring_up(interface, settings):
    ip("link", "set", interface, "up")
    flush(interface)
    ip("addr", "add", f"{settings['address']}/{settings['prefix']}", "brd", "+", "dev", interface)
    if settings["gateway"]:
        ip("route", "replace", "default", "via", settings["gateway"], "dev", interface)
    if "ipv6" in settings:
        bring_up_ipv6(interface, settings["ipv6"])
    socket.sethostname(settings["host_name"])
    servers = "".join(f"nameserver {server}\n" for server in settings["dns"])
    searched = " ".join([settings["domain"], *settings.get("search_domains", [])])
    replace(RESOLVER, f"search {searched}\n{servers}")
    ntp = settings.get("ntp")
    write_or_remove(TIME, ntp and f"[Time]\nNTP={' '.join(ntp)}\n")


def bring_up_ipv6(interface, ipv6):
    ip("addr", "add", f"{ipv6['address']}/{ipv6['prefix']}", "dev", interface)
    # The kernel asks whether somebody has it (RFC 4862), for a second or two.
    for _ in range(100):
        found = json.loads(ip("-j", "-6", "addr", "show", "dev", interface, "to", ipv6["address"]) or "[]")
        flags = [one for link in found for one in link.get("addr_info", [])]
        if any(one.get("dadfailed") for one in flags):
            raise Refused("failed", f"another host has {ipv6['address']}")
        if not any(one.get("tentative") for one in flags):
            break
        time.sleep(0.05)
    if ipv6["gateway"]:
        ip("-6", "route", "replace", "default", "via", ipv6["gateway"], "dev", interface, *METRIC6)


def flush(interface):
    """What router advertisements brought stays."""
    ip("-4", "addr", "flush", "dev", interface, "scope", "global")
    for route in routes6(interface):
        ip("-6", "route", "del", *plain(route), "dev", interface, *METRIC6)
    ip("-6", "addr", "flush", "dev", interface, "scope", "global", "permanent")


def routes6(interface):
    return ip("-6", "route", "show", "default", "dev", interface, *METRIC6).splitlines()


def plain(route):
    """`linkdown` and the like are how a route stands, not where it leads."""
    return [word for word in route.split() if word not in ("linkdown", "dead")]


def in_force(interface):
    """The kept settings, if the kernel agrees."""
    settings = read(SETTINGS)
    if settings is None:
        return None
    settings = json.loads(settings)
    here = [one["local"] for one in addresses(interface)]
    has = settings["address"] in here and ("ipv6" not in settings or settings["ipv6"]["address"] in here)
    return settings if has and socket.gethostname() == settings["host_name"] else None


def state_of(interface):
    return {
        "example": 1,
        "kept": read(SETTINGS),
        "resolver": read(RESOLVER),
        "time": read(TIME),
        "host_name": socket.gethostname(),
        "addresses": [[f"{one['local']}/{one['prefixlen']}", one.get("broadcast")] for one in addresses(interface)],
        "routes": ip("-4", "route", "show", "default", "dev", interface).splitlines(),
        "routes6": routes6(interface),
    }


def restore(interface, state):
    if not isinstance(state, dict) or state.get("example") != 1:
        raise Refused("invalid", "not a state of this program")
    write_or_remove(SETTINGS, state["kept"])
    write_or_remove(RESOLVER, state["resolver"])
    write_or_remove(TIME, state["time"])
    socket.sethostname(state["host_name"])
    ip("link", "set", interface, "up")
    flush(interface)
    for address, broadcast in state["addresses"]:
        ip("addr", "add", address, *(["brd", broadcast] if broadcast else []), "dev", interface)
    for route in state["routes"]:
        ip("route", "replace", *plain(route), "dev", interface)
    for route in state["routes6"]:
        ip("-6", "route", "replace", *plain(route), "dev", interface, *METRIC6)


def addresses(interface):
    """Without those of router advertisements."""
    found = json.loads(ip("-j", "addr", "show", "dev", interface, "scope", "global") or "[]")
    # `ip` leaves an empty one where an address is not of the scope.
    return [one for link in found for one in link.get("addr_info", []) if "local" in one and not one.get("dynamic")]


def ip(*arguments):
    ran = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if ran.returncode != 0:
        raise Refused("failed", f"ip {' '.join(arguments)}: {ran.stderr.strip()}")
    return ran.stdout


def keep(settings):
    write_or_remove(SETTINGS, settings and json.dumps(settings))


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write_or_remove(path, text):
    if text is not None:
        replace(path, text)
    elif os.path.exists(path):
        os.remove(path)


def replace(path, text):
    """All of it or nothing, also when the power is cut."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    beside = f"{path}.new"
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(beside, path)


main()
