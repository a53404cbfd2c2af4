"""Lets requests that fit the description also meet things that are there, and notes what was answered."""

import base64
import hashlib
import json
import os
import time
import zlib
from pathlib import Path

import schemathesis

FOLDER = Path(os.environ["CONTRACT_FOLDER"])
KNOWN = json.loads((FOLDER / "known.json").read_text())
SEEN = set()


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # Chosen by what was generated, so that the same run is the same again.
    dice = zlib.crc32(repr((case.path_parameters, case.body, case.query)).encode())
    # A session that is made up may be the one that asks.
    if dice % 4 or "session" in (case.path_parameters or {}):
        for name in case.path_parameters or {}:
            case.path_parameters[name] = KNOWN[name][dice % len(KNOWN[name])]
        if case.path.startswith("/v1/consoles/{console}/messages"):
            # A message is found with its own console only.
            console, message = case.path_parameters.get("message") or KNOWN["message"][dice % len(KNOWN["message"])]
            case.path_parameters["console"] = console
            if "message" in case.path_parameters:
                case.path_parameters["message"] = message
        if case.path.startswith("/v1/organisations/{organisation}/remote-write"):
            case.path_parameters["organisation"] = KNOWN["organisation"][case.method == "POST"]
        if case.path.endswith("/applet-authors/{author}"):
            # All that are known are of one organisation.
            case.path_parameters["organisation"] = KNOWN["organisation"][0]
        if case.path == "/v1/sites/{site}/reservations/{reservation}":
            # All that are known are of one site; what was made up may be another one's already.
            case.path_parameters["site"] = KNOWN["site"][0]
            if case.method == "PUT" and dice % 2:
                case.body = {"serial": f"Y{dice}", "host_name": f"y-{dice}"}
        if case.path.endswith(("/replacement", "/release")):
            # The service of others goes on. What is replaced was not released before: that comes from the other end.
            n = dice % (len(KNOWN["ending"]) // 2)
            is_replacement = case.path.endswith("/replacement")
            case.path_parameters["uid"] = KNOWN["ending"][n if is_replacement else -1 - n]
            if is_replacement and isinstance(case.body, dict):
                case.body = {"by": KNOWN["heir"][n]}
        if case.headers and "If-Match" in case.headers:
            case.headers["If-Match"] = "*"
    if case.path in ("/v1/channels", "/v1/channels/{channel}") and isinstance(case.body, dict) and dice % 2:
        # Names are an organisation's own, and few made-up addresses are some.
        target = {"kind": "webhook", "url": "https://127.0.0.1:1/"}
        case.body["channel"] |= {"name": f"c{dice}", "target": target, "sites": [], "kinds": [], "quiet": None}
        case.body |= {"password": None} | ({"organisation": 1} if "organisation" in case.body else {})
    if "/applet" in case.path and isinstance(case.body, dict) and dice % 2:
        # A signature is not made up, and nobody goes back to an earlier version.
        if case.path.endswith("/applets"):
            case.body = {"bundle": KNOWN["bundle"], "channel": "stable"}
        elif case.path.endswith("/applet-authors"):
            case.body["key"] = base64.b64encode(hashlib.sha256(str(dice).encode()).digest()).decode()
        elif case.path.endswith("/places"):
            case.body = {"places": [{"site": KNOWN["site"][0], "channel": "test"}]}
            case.path_parameters["organisation"] = KNOWN["organisation"][0]
        else:
            case.body["version"] = KNOWN["latest"] if "applet_channel" in case.path_parameters else KNOWN["applet_version"][0]
    if case.path.endswith("/remote-write") and isinstance(case.body, dict):
        # Where nothing may be sent: nothing leaves this machine.
        case.body = {"target": {"url": "https://127.0.0.1:1/"}, "password": None}
    if (case.method, case.path) == ("POST", "/v1/maintenance") and isinstance(case.body, dict):
        # Never now: it would close the alert that others acknowledge and silence.
        case.body["starts"] = int(time.time()) + 86_400
        if dice % 2:
            case.body |= {"site": KNOWN["site"][0], "appliance": None, "for_s": 600, "note": ""}
    if case.path.endswith("/monitoring") and isinstance(case.body, dict) and dice % 2:
        case.body = {"grace_s": 1 + dice % 900}
    if case.path.endswith("}/components") and isinstance(case.body, dict) and dice % 2:
        case.body = {"required": [{"name": f"c{dice}", "channel": "stable"}]}
    if case.path.endswith("/continue") and isinstance(case.body, dict) and dice % 4:
        # None of them has begun.
        case.body = {"wave": 0}
    if (case.method, case.path) == ("POST", "/v1/sessions") and dice % 2:
        case.body["proof"] |= {"login": KNOWN["login"], "password": KNOWN["password"]}


@schemathesis.hook
def after_call(context, case, response):
    answer = (f"{case.method} {case.path}", str(response.status_code))
    if answer not in SEEN:
        SEEN.add(answer)
        with open(FOLDER / "seen", "a") as seen:
            seen.write("\t".join(answer) + "\n")
