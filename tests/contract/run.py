"""The operators' interface against its own description: a real NOC over TLS, and schemathesis that asks it whatever fits or
does not fit. No answer may be 5xx, and none other than described. Every operation must have been carried out at least once,
so that the test cannot pass by being refused everywhere.

usage: run.py PATH-OF-MUSTER-NOC
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
VERSIONS = [f"1.0.{n}" for n in range(16)]
# The latest, which nobody withdraws.
LATEST = "1.0.99"
# Appliances that are replaced, each once.
ENDING_ONES = 16
# Appliances that drafts change.
DRAFTED = 8
PASSWORD = "correct horse battery"
EXAMPLES = os.environ.get("CONTRACT_EXAMPLES", "8")
CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
        "allow_header_conformance",
        "ignored_auth",
    ]
)
# These end the session that they come with: they have a run of their own.
ENDING = "^(DELETE /v1/sessions/.*|POST /v1/session/password)$"
LAST = "^DELETE /v1/session$"
# Components that there are.
COMPONENTS = 24
# Answers for as long as somebody listens, which schemathesis would wait for: noc/tests/noc/events.rs is its test.
ENDLESS = "^GET /v1/events$"


def main():
    noc = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="muster-contract-") as folder:
        folder = Path(folder)
        command = lambda *words, **more: run(noc, folder, words, **more)
        command("init", "--address", "127.0.0.1:0", "--listen", "127.0.0.1:0")
        fill(command, folder)
        applets(noc, command, folder)
        components(noc, command, folder)
        server = subprocess.Popen(
            [noc, "serve", "--dir", folder / "noc"], stdout=subprocess.PIPE, stderr=open(folder / "log", "w"), text=True
        )
        try:
            base = "https://" + server.stdout.readline().rsplit(" ", 1)[1].strip().rstrip(".")
            return contract(base, folder)
        finally:
            server.terminate()
            server.wait(20)


def run(noc, folder, words, **more):
    done = subprocess.run([noc, *words, "--dir", folder / "noc"], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"muster-noc {' '.join(words)}: {done.stderr}")
    return done.stdout


def applets(noc, command, folder):
    """Versions of an applet in both organisations, made by the vendor's own program; authors that nobody needs."""
    muster = lambda *words: subprocess.run([noc.parent / "muster", "applet", *words], check=True, capture_output=True, text=True)
    key = lambda name: muster("key", folder / name).stdout.split()[-1]
    muster("new", folder / "mail")
    manifest = json.loads((folder / "mail/applet.json").read_text())
    author = key("author")
    for organisation in ("default", "acme"):
        command("applet", "author", "add", "--organisation", organisation, "Acme", author)
        for n in range(16 if organisation == "default" else 0):
            command("applet", "author", "add", "Spare", key(f"spare{n}"))
    for version in [*VERSIONS, LATEST]:
        (folder / "mail/applet.json").write_text(json.dumps(manifest | {"version": version}))
        muster("sign", folder / "mail", "--key", folder / "author", "--out", folder / "mail.applet")
        for organisation in ("default", "acme"):
            command("applet", "publish", "--organisation", organisation, folder / "mail.applet")


def components(noc, command, folder):
    """A repository, and components of everybody and of both organisations: more than are retired on the way."""
    (folder / "online.json").write_text(command("component", "keys"))
    root = folder / "root"
    offline = lambda *words: subprocess.run([noc, "component", "root", *words], check=True, capture_output=True)
    offline("new", "--keys", "2", "--online", folder / "online.json", "--out", root)
    for n in (1, 2):
        offline("sign", "--key", root / f"root-1-{n}.key", root / "1.root.json")
    command("component", "init", root / "1.root.json")
    (folder / "program").write_text("#!/bin/sh\n")
    for n in range(COMPONENTS):
        whose = [(), ("--organisation", "default"), ("--organisation", "acme")][n % 3]
        command("component", "add", folder / "program", "--name", f"program{n}", "--version", "1", "--kind", "exec", *whose)


def fill(command, folder):
    """Two organisations with a site each, people, an appliance that is configured, consoles, an alert."""
    import sqlite3

    command("organisation", "add", "--handle", "acme", "--name", "Acme")
    for organisation in ("default", "acme"):
        site = "site add --name Bern --pool 192.0.2.10-192.0.2.99 --netmask /24 --domain example.net"
        command(*site.split(), "--organisation", organisation)
    # Of its own for those whose service ends, and those that drafts change.
    ends = "site add --name Thun --pool 198.51.100.10-198.51.100.199 --netmask /24 --domain example.net"
    command(*ends.split(), "--organisation", "default")
    command("operator", "add", "--login", "root", "--role", "administrator", input=PASSWORD)
    for login in ("anna", "bert"):
        words = ("operator", "add", "--login", login, "--role", "viewer", "--organisation", "acme")
        command(*words, input=PASSWORD)
    settings = dict(host_name="m-1", domain="example.net", address="192.0.2.10", netmask="24", gateway="", dns1="", dns2="")
    db = sqlite3.connect(folder / "noc/noc.sqlite")
    with db:
        insert = """INSERT INTO appliances (uid, mac, serial, model, claim, site, seq, applied, settings, provisioning, health,
                    revision) VALUES (?, ?, ?, 'Mail', '', 1, 1, 1, ?, 'configured', 'well', ?)"""
        at_thun = insert.replace("'Mail', '', 1,", "'Mail', '', 3,")
        for n in range(1, 5):
            row = (bytes([n] * 20), bytes([n] * 6), f"SN{n}", json.dumps(settings | {"address": f"192.0.2.{9 + n}", "host_name": f"m-{n}"}), n)
            db.execute(insert, row)
        # The last one stays silent, and with it the alert open.
        db.execute("UPDATE appliances SET health = 'silent', last_beat = 1 WHERE serial = 'SN4'")
        db.execute("INSERT INTO alerts (id, site, kind, opened, revision) VALUES (1, 1, 'silent', 1, 1)")
        # Components in waves: halted, of versions that nobody has: nothing becomes of them but what is asked.
        for n in range(1, 49):
            insert = """INSERT INTO component_rollouts (id, organisation, name, model, version, waves, former, layers, state,
                        is_in_force, started, started_by) VALUES (?, 1, ?, '', '1', ?, 'null', ?, 'halted', 1, 1, 'local')"""
            waves = {"waves": ["10%", "100%"], "soak_s": 60, "halt_at": "5%", "within_s": 60}
            layers = [{"line": None, "reached": None}]
            db.execute(insert, (n, f"r{n}", json.dumps(waves), json.dumps(layers)))
        db.execute("INSERT INTO alert_appliances SELECT 1, id FROM appliances WHERE serial = 'SN4'")
        db.execute("INSERT INTO logs (appliance, taken, text) SELECT id, 1, 'a line' FROM appliances")
        # The first ones are revoked on the way; the others are sent messages.
        for n in range(1, 7):
            db.execute("INSERT INTO consoles (name, public_key, enrolled) VALUES ('desk', ?, 1)", (bytes([n] * 32),))
            db.execute("INSERT INTO console_sites VALUES (?, 1)", (n,))
    db.close()
    # So there is a version to go back to.
    for appliance in json.loads(command("inventory", "list", "--json")):
        command("appliance", "configure", appliance["uid"], "--dns1", "192.0.2.99")
    # Those whose service ends on the way, and those that take over from them.
    db = sqlite3.connect(folder / "noc/noc.sqlite")
    with db:
        for n in range(1, ENDING_ONES + 1):
            last = settings | {"address": f"198.51.100.{100 + n}", "host_name": f"e-{n}"}
            db.execute(at_thun, (bytes([n + 100] * 20), bytes([n + 100] * 6), f"END{n}", json.dumps(last), n + 100))
            new = """INSERT INTO appliances (uid, mac, serial, model, claim, provisioning, health, revision)
                     VALUES (?, ?, ?, 'Mail', '', 'known', 'not_expected', ?)"""
            db.execute(new, (bytes([n + 150] * 20), bytes([n + 150] * 6), f"HEIR{n}", n + 150))
        # Those that only drafts change: whatever else changes one makes its drafts stale.
        for n in range(1, DRAFTED + 1):
            last = settings | {"address": f"198.51.100.{10 + n}", "host_name": f"d-{n}"}
            db.execute(at_thun, (bytes([n + 200] * 20), bytes([n + 200] * 6), f"DRAFT{n}", json.dumps(last), n + 200))
    db.close()


def contract(base, folder):
    (folder / "ca.pem").write_text(ssl.get_server_certificate(address(base)))
    careless = ssl._create_unverified_context()
    with urllib.request.urlopen(base + "/v1/ca", context=careless) as answer:
        (folder / "ca.pem").write_bytes(answer.read())
    trust = ssl.create_default_context(cafile=folder / "ca.pem")

    def call(method, path, body=None, secret=None):
        headers = {"Content-Type": "application/json", "If-Match": "*"}
        headers |= {"Authorization": "Bearer " + secret} if secret else {}
        request = urllib.request.Request(base + path, json.dumps(body).encode() if body else None, headers, method=method)
        with urllib.request.urlopen(request, context=trust) as answer:
            return json.loads(answer.read() or "null")

    def sign_in(login):
        proof = dict(method="password", login=login, password=PASSWORD)
        return call("POST", "/v1/sessions", dict(proof=proof, kind="bearer"))

    # All at once: guesses at this name in between are slowed down.
    secret, ending, last, maker = (sign_in("root")["secret"] for _ in range(4))
    token = lambda secret, scopes: call("POST", "/v1/tokens", dict(name="n", scopes=scopes, days=1), secret)
    appliances = call("GET", "/v1/appliances", secret=secret)["items"]
    drafted = [row["uid"] for row in appliances if row["serial"].startswith("DRAFT")]
    change = lambda n: {"edit": {"edit": {"dns1": f"192.0.2.{n + 100}"}, "uids": [drafted[n % DRAFTED]]}}
    draft = lambda n: call("POST", "/v1/drafts", dict(sites=[3], title="n", changes=change(n)), secret)
    reserve = lambda n: call("POST", "/v1/sites/1/reservations", dict(serial=f"X{n}", host_name=f"x-{n}"), secret)

    def channel(n):
        # Where no channel may go: nothing leaves this machine.
        given = {"name": f"n{n}", "target": {"kind": "webhook", "url": "https://127.0.0.1:1/"}}
        return call("POST", "/v1/channels", dict(organisation=1, channel=given), secret)["channel"]["id"]

    # Where nothing may be sent, either. The other organisation's is tried, and nobody takes it away.
    written = {"target": {"url": "https://127.0.0.1:1/"}}
    call("PUT", "/v1/organisations/2/remote-write", written, secret)

    def maintain(n):
        # To come: what is under way would close the alert.
        asked = dict(site=1, starts=int(time.time()) + 86_400 + n, for_s=600)
        return call("POST", "/v1/maintenance", asked, secret)["id"]

    def message(secret, console):
        sent = call("POST", f"/v1/consoles/{console}/messages", dict(order=dict(kind="refresh")), secret)
        return [console, sent["number"]]

    bundle = base64.b64encode((folder / "mail.applet").read_bytes()).decode()
    known = {
        "organisation": [1, 2],
        # Withdrawn and taken away on the way: there are enough of them.
        "applet": ["mail"],
        "applet_version": VERSIONS,
        "applet_channel": ["stable", "test"],
        "component": list(range(1, COMPONENTS + 1)),
        "component_channel": ["stable", "test"],
        "author": list(range(2, 18)),
        # Taken back, or gone on with until they halt because there is no such version.
        "rollout": list(range(1, 49)),
        "site": [1, 2],
        "operator": [2, 3],
        "console": [1, 2, 3],
        "reservation": [reserve(n)["id"] for n in range(24)],
        "draft": [draft(n)["id"] for n in range(16)],
        "alert": [1],
        "channel": [channel(n) for n in range(8)],
        "message": [message(secret, console) for console in (4, 5, 6) for _ in range(4)],
        "maintenance": [maintain(n) for n in range(16)],
        # Nobody does anything to the one whose alert stays open.
        "uid": [row["uid"] for row in appliances if row["serial"] in ("SN1", "SN2", "SN3")],
        "ending": [row["uid"] for row in appliances if row["serial"].startswith("END")],
        "heir": [row["uid"] for row in appliances if row["serial"].startswith("HEIR")],
        "invite": [call("POST", "/v1/invites", dict(sites=[1], hours=1), secret)["invite"]["id"] for _ in range(3)],
        "token": [token(secret, ["audit:read"])["token"]["id"] for _ in range(5)],
        "session": [sign_in("anna@acme")["session"]["id"] for _ in range(5)],
    }
    (folder / "known.json").write_text(json.dumps(known | {"login": "root", "password": PASSWORD, "bundle": bundle, "latest": LATEST}))
    seen = folder / "seen"
    fails = 0
    others = f"{ENDING}|{LAST}|{ENDLESS}"
    fails += schemathesis(base, folder, secret, "--exclude-name-regex", others)
    fails += schemathesis(base, folder, ending, "--include-name-regex", ENDING)
    fails += schemathesis(base, folder, last, "--include-name-regex", LAST)
    few = token(maker, ["sites:read", "appliances:read", "alerts:write"])["secret"]
    fails += schemathesis(base, folder, few, "--max-examples", "3", "--exclude-name-regex", others)

    document = call("GET", "/v1/openapi.json")
    good = {tuple(line.split("\t")) for line in seen.read_text().splitlines()}
    missing = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            status = next(status for status in operation["responses"] if status.startswith("2"))
            # The password that one has is not guessed: tests of the NOC's own change it. The document itself was read above.
            others = ("/v1/session/password", "/v1/openapi.json", "/v1/events")
            if (f"{method.upper()} {path}", status) not in good and path not in others:
                missing.append(f"{method.upper()} {path} {status}")
    if missing:
        print("never carried out:", *missing, sep="\n  ")
    statuses = sorted({status for _, status in good})
    print(f"{len(good)} kinds of answers, with the statuses {', '.join(statuses)}")
    if fails or missing:
        print((folder / "log").read_text()[-4000:])
        return 1
    return 0


def address(base):
    host, port = base.removeprefix("https://").rsplit(":", 1)
    return host, int(port)


def schemathesis(base, folder, secret, *more):
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CONTRACT_FOLDER": str(folder),
    }
    program = Path(sys.executable).parent / "schemathesis"
    words = [program, "--config-file", HERE / "schemathesis.toml", "run", base + "/v1/openapi.json"]
    words += ["--tls-verify", folder / "ca.pem", "--header", f"Authorization: Bearer {secret}", "--checks", CHECKS]
    words += ["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES]
    words += ["--generation-deterministic", "--continue-on-failure", "--no-color", "--suppress-health-check", "all", "--request-retries", "3"]
    words += ["--warnings", "off"]
    return subprocess.run([*words, *more], cwd=folder, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
