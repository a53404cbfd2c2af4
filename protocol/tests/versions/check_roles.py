"""What check.py does: check the vectors, play a console, play an appliance."""

import ipaddress
import json
import os
import sys

import check as m
from check import Malformed, Refused


def h(text):
    return bytes.fromhex(text)


def same(got, expected, what):
    if isinstance(got, bytes):
        got = got.hex()
    if got != expected:
        raise AssertionError("%s: %r instead of %r" % (what, got, expected))


# Vectors


def main(arguments):
    if arguments == ["--console"]:
        return converse(Console())
    if arguments == ["--appliance"]:
        return converse(Appliance())
    if len(arguments) != 1:
        print(m.__doc__ or __doc__, file=sys.stderr)
        return 2
    print("%d vectors hold" % check_folder(arguments[0]))
    return 0


def check_folder(folder):
    def read(name):
        with open(os.path.join(folder, name)) as file:
            return json.load(file)

    keys = read("keys.json")
    check_keys(keys)
    checked = 1
    configs = {v["name"]: v for v in read("config.json")["vectors"]}
    checks = {
        "codes.json": check_code,
        "heard.json": check_heard,
        "grant.json": check_grant,
        "credential.json": check_credential,
        "enrolment.json": check_enrolment,
        "ping.json": lambda v: check_ping(keys, v),
        "here.json": lambda v: check_here(keys, v),
        "config.json": lambda v: check_config(keys, v),
        "result.json": lambda v: check_result(keys, configs, v),
        "kick-start.json": lambda v: check_kick(keys, v),
        "refused.json": lambda v: check_refused(keys, configs, v),
        "voucher.json": lambda v: check_voucher(keys, v),
        "handover.json": lambda v: check_handover(keys, configs, v),
        "instruction.json": lambda v: check_instruction(keys, v),
        "drift.json": lambda v: check_drift(keys, v),
        "ipv6.json": lambda v: check_ipv6(keys, v),
        "application.json": lambda v: check_application(keys, v),
        "lists.json": lambda v: check_lists(keys, v),
    }
    for name, each in checks.items():
        for vector in read(name)["vectors"]:
            try:
                each(vector)
            except (Malformed, Refused, AssertionError, KeyError) as error:
                raise AssertionError("%s, %s: %r" % (name, vector.get("name", vector), error))
            checked += 1
    return checked


def check_keys(keys):
    for name in ("noc_root", "console", "device", "stranger"):
        same(m.ed25519_public(h(keys[name]["seed"])), keys[name]["public_key"], name)
    for key in keys["one_time_keys"] + [keys["reply_key"]]:
        same(m.x25519_public(h(key["secret"])), key["public_key"], "X25519")
    same(m.uid_of(h(keys["device"]["public_key"])), keys["uid"], "UID")
    same(m.label_code(h(keys["claim_secret"])), keys["label_code"], "label code")
    same(m.claim_key(h(keys["claim_secret"])), keys["claim_key"], "claim key")


def check_code(v):
    forms = v["also_read"] + [v["text"]]
    if v["kind"] == "uid":
        same(m.uid_of(h(v["device_key"])), v["uid"], "UID")
        same(m.uid_text(h(v["uid"])), v["text"], "text")
        for form in forms:
            same(m.from_base32(m.letters_of(form)), v["uid"], form)
    elif v["kind"] == "mac":
        same(m.mac_text(h(v["mac"])), v["text"], "text")
    else:
        same(m.label_code(h(v["claim_secret"])), v["text"], "text")
        same(m.claim_key(h(v["claim_secret"])), v["claim_key"], "claim key")
        for form in forms:
            same(m.read_label_code(form), v["claim_secret"], form)
        for form in v["refused"]:
            try:
                m.read_label_code(form)
            except (Malformed, ValueError):
                continue
            raise AssertionError("%s was read" % form)


def check_heard(v):
    hashed = m.heard_hash(h(v["salt"]), h(v["uid"]))
    same(hashed[:4], v["hash"], "hash")
    same(hashed[4:], v["shard_bytes"], "shard bytes")
    for bits, index in v["shards"]:
        assert m.in_shard(bits, index, hashed[4:]) and not m.in_shard(bits, index ^ 1, hashed[4:])


def check_cose(cose):
    payload, seed = h(cose["payload"]), h(cose["seed"])
    same(m.ed25519_public(seed), cose["public_key"], "public key")
    same("a10127", cose["protected"], "protected")
    same(m.sig_structure(cose["external_aad_text"], payload), cose["sig_structure"], "Sig_structure")
    same(m.sign(seed, cose["external_aad_text"], payload), cose["bytes"], "COSE_Sign1")
    same(m.parse_cose(h(cose["bytes"]))[1], cose["signature"], "signature")
    same(m.verify(h(cose["public_key"]), cose["external_aad_text"], h(cose["bytes"])), cose["payload"], "payload")
    return payload


def ip(number):
    if type(number) is bytes:
        return str(ipaddress.IPv6Address(number))
    return "" if number is None else ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def check_grant(v):
    grant = m.decode(check_cose(v["cose"]))
    m.is_grant(grant)
    policy = {"drift": ("report", "restore")[grant[30]]} if 30 in grant else {}
    if 31 in grant:
        policy["application"] = grant[31]
    if 23 in grant or 24 in grant:
        listed = [[m.address_text(item) for item in grant[field]] if field in grant else None for field in (23, 24)]
        policy["ntp"], policy["search_domains"] = listed
    same(
        {
            **policy,
            "uid": m.uid_text(grant[0]), "mac": m.mac_text(grant[1]), "site": grant[2], "seq": str(grant[3]),
            "host_name": grant[4], "domain": grant[5], "address": ip(grant[6]), "prefix": grant[7],
            "gateway": ip(grant.get(8)), "dns1": ip(grant.get(9)), "dns2": ip(grant.get(10)),
            "confirm": ("kick-start", "first beat")[grant[11]], "window_s": grant[12], "beat_interval_s": grant[13],
            "console": grant[14].hex(), "root": grant[15].hex(), "issued": str(grant[16]), "expires": str(grant[17]),
            "noc": grant[18], "ca_pin": grant[19].hex(),
            **({"address6": "%s/%d" % (ip(grant[20]), grant[21]), "gateway6": ip(grant.get(22))} if 20 in grant else {}),
        },
        v["meaning"],
        "meaning",
    )  # fmt: skip
    same(grant[15].hex(), v["cose"]["public_key"], "the root signs")


def check_credential(v):
    credential = m.decode(check_cose(v["cose"]))
    m.IS_CREDENTIAL(credential)
    console, key, sites, expires = (credential[i] for i in range(4))
    same({"console": console, "key": key.hex(), "sites": sites, "expires": str(expires)}, v["meaning"], "meaning")


def check_enrolment(v):
    proof = m.decode(check_cose(v["cose"]))
    m.IS_ENROLMENT(proof)
    same({"device_key": proof[0].hex(), "seq": str(proof[1]), "csr_hash": proof[2].hex()}, v["meaning"], "meaning")
    same(m.sha256(v["csr"].encode()), v["meaning"]["csr_hash"], "hash of the CSR")


def read(v, kind):
    got, body = m.read_datagram(h(v["datagram"]))
    assert got == kind, "kind %d" % got
    same(m.datagram(kind, body), v["datagram"], "made again")
    return body


def check_ping(keys, v):
    body = read(v, m.PING)
    ping, signed = m.read_ping(body)
    assert len(v["datagram"]) // 2 >= 640
    same(m.encode(ping), v["body"], "body")
    same(
        {
            "id": ping[0].hex(), "window_ms": ping[1], "salt": ping[2].hex(), "shard": ping[3],
            "heard": [ping[4][i : i + 4].hex() for i in range(0, len(ping[4]), 4)],
            "only": m.uid_text(ping[5]) if 5 in ping else None,
            "reply_key": ping[6].hex() if 6 in ping else None,
            "credential": ping[7].hex() if 7 in ping else None,
            "asks_the_appliance": m.asks(ping, h(keys["uid"])),
        },
        v["meaning"],
        "meaning",
    )  # fmt: skip
    if signed is not None:
        same(check_cose(v["cose"]), v["body"], "payload")
        same(signed, v["cose"]["bytes"], "field 1")
        credential = m.decode(m.verify(h(keys["noc_root"]["public_key"]), "muster/1 credential", ping[7]))
        m.IS_CREDENTIAL(credential)
        m.verify(credential[1], "muster/1 ping", signed)


def check_hpke(v, psk):
    s = v["hpke"]
    assert (s["kem_id"], s["kdf_id"], s["aead_id"]) == (0x20, 1, 3)
    secret = m.derive_secret(h(s["ikm_e"]))
    same(secret, s["sk_e"], "sk_e")
    same(m.x25519_public(secret), s["enc"], "enc")
    recipient = h(s["recipient_public"])
    same(m.x25519_public(h(s["recipient_secret"])), s["recipient_public"], "recipient")
    same(psk.hex(), s["psk"], "psk")
    mode = 1 if psk else 0
    same(mode, s["mode"], "mode")
    same("muster/1 claim" if psk else "", s["psk_id_text"], "psk_id")
    info = s["info_text"].encode()
    psk_id = s["psk_id_text"].encode()
    steps = m.key_schedule(mode, m.exchange(secret, recipient), h(s["enc"]), recipient, info, psk, psk_id)
    for name, value in steps.items():
        if name in s:
            same(value, s[name], name)
    enc, ciphertext, _ = m.seal(recipient, info, psk or None, h(s["aad"]), h(s["plaintext"]), h(s["ikm_e"]))
    same(enc, s["enc"], "enc")
    same(ciphertext, s["ciphertext"], "ciphertext")
    plaintext, _ = m.unseal(h(s["recipient_secret"]), enc, info, psk or None, h(s["aad"]), ciphertext)
    same(plaintext, s["plaintext"], "plaintext")
    return steps


def check_here(keys, v):
    signed = read(v, m.HERE)
    here = m.read_here(signed)
    same(check_cose(v["cose"]), m.encode(here).hex(), "payload")
    settings = None
    if 7 in here:
        check_hpke(v, b"")
        same(here[7][0], v["hpke"]["enc"], "enc")
        same(here[7][1], v["hpke"]["ciphertext"], "ciphertext")
        same(v["hpke"]["aad"], keys["uid"], "aad")
        same(v["hpke"]["info_text"], "muster/1 settings", "info")
        settings = m.read_settings(h(keys["reply_key"]["secret"]), m.uid_of(here[1]), here[7])
    same(
        {
            "ping": here[0].hex(), "device_key": here[1].hex(), "uid": m.uid_text(m.uid_of(here[1])),
            "mac": m.mac_text(here[2]), "state": here[3], "one_time_key": here[4].hex(), "boot": here[5].hex(),
            "proof": here[6], "settings": settings,
        },
        v["meaning"],
        "meaning",
    )  # fmt: skip


def check_config(keys, v):
    body = read(v, m.CONFIG)
    address = body[0]
    same(
        {
            "uid": m.uid_text(address[0]), "mac": m.mac_text(address[1]), "request": address[3].hex(),
            "one_time_key": address[2].hex(),
        },
        v["meaning"],
        "meaning",
    )  # fmt: skip
    psk = h(v["hpke"]["psk"])
    assert psk in (b"", h(keys["claim_key"]))
    steps = check_hpke(v, psk)
    same(steps["exported_key"], v["hpke"]["exported_key"], "exported key")
    same(v["hpke"]["exporter_context_text"], "muster/1 answers", "exporter context")
    same(v["hpke"]["info_text"], "muster/1 config", "info")
    same(m.encode(address), v["hpke"]["aad"], "aad")
    order = check_cose(v["cose"])
    same(order, v["order"], "order")
    same(v["cose"]["bytes"], v["hpke"]["plaintext"], "what is sealed")
    same(m.sha256(h(v["datagram"])), v["datagram_sha256"], "packet hash")
    voucher = h(v["voucher"]) if "voucher" in v else None
    grant, ikm = h(v["grant"]), h(v["hpke"]["ikm_e"])
    made, exported = m.make_config(h(keys["console"]["seed"]), grant, address, psk or None, ikm, voucher)
    same(made, v["datagram"], "made from nothing")
    secret = h(v["hpke"]["recipient_secret"])
    for pinned in (None, h(keys["noc_root"]["public_key"])):
        grant, opened = m.open_config(body, secret, psk or None, pinned)
        assert opened == exported == steps["exported_key"] and grant[0] == address[0] and grant[1] == address[1]


def check_voucher(keys, v):
    vendor = m.ed25519_public(m.sha256(b"muster test vectors 1: vendor"))
    if v["part"] == "statement":
        voucher = m.decode(check_cose(v["cose"]))
        m.IS_VOUCHER(voucher)
        same(
            {
                "uid": m.uid_text(voucher[0]), "root": voucher[1].hex(), "vendor": voucher[2].hex(),
                "issued": str(voucher[3]), "expires": str(voucher[4]) if 4 in voucher else None,
            },
            v["meaning"],
            "meaning",
        )  # fmt: skip
        same(voucher[2], vendor.hex(), "vendor")
        assert len(v["cose"]["bytes"]) // 2 <= 192
        return
    appliance = Appliance()
    appliance.begin(keys)
    appliance.vendor, appliance.psk = vendor, None
    appliance.time = int(v["known_time"]) if v.get("known_time") else None
    if v["part"] == "packet":
        check_config(keys, v)
        same(appliance.why_not(h(v["datagram"])), None, "accepted")
    else:
        same(appliance.why_not(h(v["datagram"])), v["reason"], "reason")
        same(CODES[v["reason_number"]], v["reason"], "number")


def check_handover(keys, configs, v):
    root, uid = h(keys["noc_root"]["public_key"]), m.uid_of(h(keys["device"]["public_key"]))
    told = lambda to: {"noc": to[0], "ca_pin": to[1].hex(), "root": to[2].hex()}
    if v["part"] == "offer":
        offer = m.decode(check_cose(v["cose"]))
        m.IS_SUCCESSOR(offer)
        same(told(offer), v["meaning"], "meaning")
        m.verify(offer[2], "muster/1 hand-over offer", h(v["cose"]["bytes"]))
        return
    if v["part"] == "statement":
        handover = m.decode(check_cose(v["cose"]))
        seq = handover[1]
        same(m.read_handover(h(v["cose"]["bytes"]), root, uid, seq), handover, "read")
        same(
            {
                "uid": m.uid_text(handover[0]), "seq": str(seq), "serial": str(handover[2]), "to": told(handover[3]),
                "issued": str(handover[4]), "expires": str(handover[5]),
            },
            v["meaning"],
            "meaning",
        )  # fmt: skip
        return
    grant = m.decode(m.parse_cose(h(next(iter(configs.values()))["grant"]))[0])
    time = int(v["known_time"]) if v["known_time"] else None
    try:
        m.read_handover(h(v["bytes"]), root, uid, grant[3], time)
        reason = None
    except Refused as refused:
        reason = str(refused)
    same(reason, v["reason"], "reason")
    same(CODES[v["reason_number"]], v["reason"], "number")


def check_instruction(keys, v):
    root = h(keys["noc_root"]["public_key"])
    if v["part"] == "refused":
        same(why_no_instruction(keys, root, v), v["reason"], "reason")
        return
    instruction = m.decode(check_cose(v["cose"]))
    m.IS_INSTRUCTION(instruction)
    uid, seq, serial, act, issued, expires = (instruction[i] for i in range(6))
    same(
        {
            "uid": m.uid_text(uid), "seq": str(seq), "serial": str(serial), "act": act, "issued": str(issued),
            "expires": str(expires),
        },
        v["meaning"],
        "meaning",
    )  # fmt: skip
    same(v["cose"]["public_key"], root.hex(), "the root signs")


def why_no_instruction(keys, root, v):
    """By an appliance that was configured with the first grant and has been given none yet."""
    try:
        instruction = m.decode(m.verify(root, "muster/1 instruction", h(v["instruction"])))
        m.IS_INSTRUCTION(instruction)
    except (Malformed, Refused):
        return "wrong_root"
    if instruction[0] != h(keys["uid"]):
        return "wrong_appliance"
    if instruction[1] != 7:
        return "old_sequence"
    return "expired" if v["known_time"] and instruction[5] < int(v["known_time"]) else None


def check_drift(keys, v):
    if v["part"] == "grant":
        check_grant(v)
    else:
        check_voucher(keys, v)


def check_ipv6(keys, v):
    if v["part"] == "grant":
        check_grant(v)
    elif v["part"] == "answer":
        check_here(keys, v)
    elif v["part"] == "packet":
        check_config(keys, v)
    else:
        try:
            m.is_grant(m.decode(h(v["payload"])))
        except Malformed:
            return
        raise AssertionError("a grant that is malformed")


def check_application(keys, v):
    check_lists(keys, v)
    if v["part"] == "packet":
        same(m.MAX_DATAGRAM, len(h(v["datagram"])), "full")


def check_lists(keys, v):
    if v["part"] == "grant":
        check_grant(v)
    elif v["part"] == "packet":
        check_config(keys, v)
    else:
        try:
            m.is_grant(m.decode(h(v["payload"])))
        except Malformed:
            return
        raise AssertionError("a grant that is malformed")


def check_result(keys, configs, v):
    body = read(v, m.RESULT)
    config = configs[v["answers"]]
    exported = h(config["hpke"]["exported_key"])
    same(v["exported_key"], exported.hex() if 1 in body else None, "exported key")
    same(v["tag"], body[1].hex() if 1 in body else None, "tag")
    result = m.read_result(body, h(keys["device"]["public_key"]), exported)
    same(check_cose(v["cose"]), m.encode(result).hex(), "payload")
    kind, inner = result[5]
    status = {"result": ("SUCCESS", "FAILED", "UNCONFIGURED")[kind]}
    if kind == 0:
        status["committed"] = inner[0]
    elif kind == 1:
        inner = inner + [None] * (3 - len(inner))
        status.update(reason=inner[0], code=CODES[inner[0]], detail=inner[1])
        status["next_key"] = inner[2].hex() if inner[2] else None
    else:
        status.update(zip(("stage", "percent", "ask_again_ms"), inner))
    same(
        {
            "uid": m.uid_text(result[0]), "request": result[1].hex(), "packet": result[2].hex(),
            "seq": str(result[3]), "boot": result[4].hex(), "status": status,
        },
        v["meaning"],
        "meaning",
    )  # fmt: skip
    same(result[2], config["datagram_sha256"], "packet hash")


CODES = (
    "key_unknown not_opened wrong_root wrong_console wrong_appliance old_sequence expired request_reused busy "
    "address_taken apply_failed storage no_kick_start no_beat interrupted too_many_attempts install_failed "
    "voucher_refused application_not_supported application_failed"
).split()


def check_kick(keys, v):
    body = read(v, m.KICK_START)
    kick = m.read_kick(body, h(keys["console"]["public_key"]), h(v["exported_key"]))
    same(check_cose(v["cose"]), m.encode(kick).hex(), "payload")
    same(body[2], v["tag"], "tag")
    meaning = {"uid": m.uid_text(kick[0]), "request": kick[1].hex(), "seq": str(kick[2])}
    same(meaning, v["meaning"], "meaning")


def check_refused(keys, configs, v):
    first = configs["to an unconfigured appliance, with the claim key"]
    try:
        if v["stage"] == "appliance":
            appliance = Appliance()
            appliance.begin(keys)
            if v["configured"]:
                appliance.take(h(first["datagram"]))
                appliance.last, appliance.attempt = appliance.attempt, None
                appliance.pinned, appliance.one_time = h(keys["noc_root"]["public_key"]), {}
                appliance.publish(h(keys["one_time_keys"][1]["secret"]))
            got = appliance.why_not(h(v["datagram"]))
        else:
            got = refuse(keys, h(first["hpke"]["exported_key"]), v)
    except Malformed as error:
        got = {"datagram": str(error), "message": v["reason"]}[v["stage"]]
    except Refused:
        got = {"signature": v["reason"]}[v["stage"]]
    same(got, v["reason"], "reason")


def refuse(keys, exported, v):
    kind, body = m.read_datagram(h(v["datagram"]))
    if kind == m.PING:
        m.read_ping(body)
    elif kind == m.HERE:
        m.read_here(body)
    elif kind == m.RESULT:
        m.read_result(body, h(keys["device"]["public_key"]), exported)
    elif kind == m.KICK_START:
        m.read_kick(body, h(keys["console"]["public_key"]), exported)
    elif kind == m.CONFIG:
        secret, psk = h(keys["one_time_keys"][0]["secret"]), h(keys["claim_key"])
        signed, _ = m.unseal(secret, body[1], b"muster/1 config", psk, m.encode(body[0]), body[2])
        order = m.read_signed(signed, m.IS_ORDER)
        m.read_signed(order[0], m.is_grant)
    return None


# Roles: one JSON object a line; what is sent is a list of datagrams in hexadecimal


def converse(role):
    for line in sys.stdin:
        print(json.dumps(role.tell(json.loads(line))), flush=True)
    return 0


class Console:
    """{"ping": UID} -> a ping to it; {"datagram": Here} with keys and a grant -> a config packet; {"datagram": Result}."""

    def tell(self, said):
        if "ping" in said:
            self.ping = {0: os.urandom(16), 1: 0, 2: os.urandom(8), 3: [0, 0], 4: b"", 5: h(said["ping"])}
            body = {0: m.encode(self.ping)}
            bare = len(m.datagram(m.PING, body))
            body[2] = bytes(640 - bare)
            return {"send": [m.datagram(m.PING, body).hex()]}
        kind, body = m.read_datagram(h(said["datagram"]))
        if kind == m.HERE:
            here = m.read_here(body)
            assert here[0] == self.ping[0] and m.asks(self.ping, m.uid_of(here[1]))
            self.device, self.seed = here[1], h(said["console_seed"])
            self.request, self.seq = os.urandom(16), said["seq"]
            address = {0: m.uid_of(here[1]), 1: here[2], 2: here[4], 3: self.request}
            grant = m.decode(m.parse_cose(h(said["grant"]))[0])
            grant.update({3: self.seq, 14: m.ed25519_public(self.seed)})
            m.is_grant(grant)
            signed = m.sign(h(said["root_seed"]), "muster/1 grant", m.encode(grant))
            psk = m.claim_key(m.read_label_code(said["label_code"])) if here[3] == 0 else None
            self.packet, self.exported = m.make_config(self.seed, signed, address, psk)
            return {"send": [self.packet.hex()]}
        result = m.read_result(body, self.device, self.exported)
        assert result[1] == self.request and result[2] == m.sha256(self.packet) and result[3] == self.seq
        if result[5] == [0, [False]]:
            kick = m.encode({0: result[0], 1: self.request, 2: self.seq})
            signed = m.sign(self.seed, "muster/1 kick-start", kick)
            packet = m.datagram(m.KICK_START, {0: result[0], 1: signed, 2: m.tag_of(self.exported, signed)})
            return {"send": [packet.hex()], "status": result[5]}
        return {"send": [], "status": result[5]}


class Appliance:
    """{"begin": keys.json} first; then {"datagram": ...} -> what it answers. It applies at once, and keeps its state."""

    def tell(self, said):
        if "begin" in said:
            self.begin(said["begin"])
            return {"send": []}
        try:
            return {"send": [answer.hex() for answer in self.answers(h(said["datagram"]))]}
        except (Malformed, Refused) as error:
            return {"send": [], "ignored": str(error)}

    def begin(self, keys):
        self.seed, self.mac, self.boot = h(keys["device"]["seed"]), h(keys["mac"]), h(keys["boot"])
        self.device = m.ed25519_public(self.seed)
        self.uid, self.psk = m.uid_of(self.device), m.claim_key(h(keys["claim_secret"]))
        self.pinned, self.seq, self.attempt, self.last, self.one_time = None, 0, None, None, {}
        self.vendor, self.time = None, None
        self.publish(h(keys["one_time_keys"][0]["secret"]))

    def publish(self, secret=None):
        secret = secret or os.urandom(32)
        self.one_time[m.x25519_public(secret)] = secret
        return m.x25519_public(secret)

    def answers(self, data):
        kind, body = m.read_datagram(data)
        if kind == m.PING:
            ping, _ = m.read_ping(body)
            if not m.asks(ping, self.uid):
                return []
            state = 2 if self.attempt else 3 if self.pinned else 0
            here = {0: ping[0], 1: self.device, 2: self.mac, 3: state, 4: self.publish(), 5: self.boot, 6: 0}
            answer = m.datagram(m.HERE, m.sign(self.seed, "muster/1 here", m.encode(here)))
            return [answer] if len(answer) <= len(data) else []
        if kind == m.CONFIG and body[0][0] == self.uid:
            reason = self.why_not(data)
            if reason is None:
                return [self.status(self.attempt or self.last)]
            next_key = [None, self.publish()] if reason not in ("busy", "too_many_attempts") else []
            refusal = {"request": body[0][3], "packet": m.sha256(data)}
            return [self.result(refusal, [1, [CODES.index(reason)] + next_key], None)]
        if kind == m.KICK_START and body[0] == self.uid:
            attempt = self.attempt or self.last
            if attempt is None:
                return []
            kick = m.read_kick(body, attempt["console"], attempt["exported"])
            if kick[1] != attempt["request"] or kick[2] != attempt["seq"]:
                return []
            if self.attempt:
                self.pinned, self.last, self.attempt = self.attempt["root"], self.attempt, None
            return [self.status(self.last)]
        return []

    def take(self, data):
        reason = self.why_not(data)
        assert reason is None, reason

    def why_not(self, data):
        """The checks in their order; None: it was accepted, or is known already."""
        body = m.read_datagram(data)[1]
        address = body[0]
        for known in (self.attempt, self.last):
            if known and known["request"] == address[3]:
                return None if known["packet"] == m.sha256(data) else "request_reused"
        if self.attempt:
            return "busy"
        if address[1] != self.mac:
            return "wrong_appliance"
        secret = self.one_time.get(address[2])
        if secret is None:
            return "key_unknown"
        try:
            grant, exported = m.open_config(
                body, secret, None if self.pinned else self.psk, self.pinned, self.vendor, self.time
            )
        except Refused as refused:
            return str(refused)
        if grant[0] != self.uid or grant[1] != self.mac:
            return "wrong_appliance"
        if grant[3] <= self.seq:
            return "old_sequence"
        del self.one_time[address[2]]
        self.seq = grant[3]
        self.attempt = {
            "request": address[3], "packet": m.sha256(data), "exported": exported, "console": grant[14],
            "root": grant[15], "seq": grant[3],
        }  # fmt: skip
        return None

    def status(self, attempt):
        return self.result(attempt, [0, [attempt is self.last]], attempt["exported"])

    def result(self, attempt, status, exported):
        result = {0: self.uid, 1: attempt["request"], 2: attempt["packet"], 3: self.seq, 4: self.boot, 5: status}
        signed = m.sign(self.seed, "muster/1 result", m.encode(result))
        return m.datagram(m.RESULT, {0: signed, 1: m.tag_of(exported, signed)} if exported else {0: signed})
