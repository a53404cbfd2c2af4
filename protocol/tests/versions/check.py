#!/usr/bin/python3
"""A second implementation of the Muster protocol, version 1, written from docs/protocol.md alone.

It is an oracle for tests: it shares no code with the programs. Primitives (SHA-256, HMAC, X25519, Ed25519,
ChaCha20Poly1305) and a CBOR decoder come from Debian's python3-cryptography and python3-cbor2; COSE, HPKE and the
deterministic form are written out here.

    check.py FOLDER          checks every step of every vector in FOLDER, and prints how many there were
    check.py --console       plays a console, one JSON object a line on standard input and output (see Console)
    check.py --appliance     plays an appliance likewise (see Appliance)
"""

import base64
import hashlib
import hmac
import io
import ipaddress
import json
import os
import sys

import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

MAX_DATAGRAM = 1232
PING, HERE, CONFIG, RESULT, KICK_START = 1, 2, 3, 4, 5


class Malformed(Exception):
    """A datagram, or a message inside one, that must be ignored."""


class Refused(Exception):
    """A signature, tag or seal that does not hold, or a packet that an appliance answers with FAILED."""


# Encoding


def encode(value):
    """The deterministic form: RFC 8949 section 4.2.1."""

    def head(major, n):
        for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if n < 24:
                return bytes([major << 5 | n])
            if n < 1 << 8 * size:
                return bytes([major << 5 | info]) + n.to_bytes(size, "big")
        raise ValueError(n)

    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        pairs = sorted((encode(k), encode(v)) for k, v in value.items())
        return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)
    raise TypeError(type(value))


def decode(data):
    """One item in deterministic form, up to the end."""
    stream = io.BytesIO(data)
    try:
        # A length that cannot be is refused before anything is allocated for it.
        check_lengths(data)
        value = cbor2.CBORDecoder(stream).decode()
    except Malformed:
        raise
    except Exception as error:
        raise Malformed("not CBOR: %s" % error)
    try:
        same = stream.tell() == len(data) and encode(value) == data
    except (TypeError, ValueError):
        same = False
    if not same:
        raise Malformed("not in deterministic form")
    return value


def check_lengths(data):
    position, left = 0, 1
    while left and position < len(data):
        major, info = data[position] >> 5, data[position] & 31
        position += 1
        if info > 27:
            raise Malformed("indefinite or reserved length")
        size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
        n = int.from_bytes(data[position : position + size], "big") if size else info
        position += size
        left -= 1
        if major in (2, 3):
            position += n
        elif major in (4, 5):
            left += n * (major - 3)
        elif major == 6:
            raise Malformed("a tag")
        if n > len(data) and major in (2, 3, 4, 5):
            raise Malformed("a length beyond the end")
    if left or position > len(data):
        raise Malformed("cut short")


# Forms: what each field may be. A form is a function that raises Malformed.


def check(ok, what):
    if not ok:
        raise Malformed(what)


def is_number(bits):
    def form(value):
        check(type(value) is int and 0 <= value < 1 << bits, "not a number of %d bits" % bits)

    return form


def is_range(low, high):
    def form(value):
        check(type(value) is int and low <= value <= high, "not a number from %d to %d" % (low, high))

    return form


def is_bytes(size=None):
    def form(value):
        check(type(value) is bytes and (size is None or len(value) == size), "not %s bytes" % size)

    return form


def is_text(value):
    check(type(value) is str, "not a text")


def is_array(*forms):
    def form(value):
        check(type(value) is list and len(value) == len(forms), "not an array of %d" % len(forms))
        for each, item in zip(forms, value):
            each(item)

    return form


def is_map(required, optional=()):
    optional = dict(optional)

    def form(value):
        check(type(value) is dict, "not a map")
        for key, each in required.items():
            check(key in value, "field %s is missing" % key)
            each(value[key])
        for key, item in value.items():
            if key not in required:
                check(type(key) is int and key in optional, "unknown field %r" % key)
                optional[key](item)

    return form


UID, MAC, ID16, HASH, KEY, TAG = map(is_bytes, (20, 6, 16, 32, 32, 16))
NUMBER, SEQ, TIME = is_number(32), is_number(64), is_number(64)


def is_shard(value):
    is_array(is_range(0, 16), is_number(16))(value)


def is_heard(value):
    is_bytes()(value)
    check(len(value) % 4 == 0 and len(value) <= 512, "heard list")


IS_PING = is_map(
    {0: ID16, 1: is_number(16), 2: is_bytes(8), 3: is_shard, 4: is_heard}, {5: UID, 6: KEY, 7: is_bytes()}
)
IS_HERE = is_map(
    {0: ID16, 1: KEY, 2: MAC, 3: is_range(0, 3), 4: KEY, 5: ID16, 6: is_range(0, 2)},
    {7: is_array(is_bytes(32), is_bytes())},
)
IS_ADDRESS = is_map({0: UID, 1: MAC, 2: KEY, 3: ID16})
IS_ORDER = is_map({0: is_bytes(), 1: KEY, 2: ID16}, {3: is_bytes()})
IS_VOUCHER = is_map({0: UID, 1: KEY, 2: KEY, 3: TIME}, {4: TIME})
IS_SUCCESSOR = is_map({0: is_text, 1: HASH, 2: KEY})
IS_HANDOVER = is_map({0: UID, 1: SEQ, 2: SEQ, 3: IS_SUCCESSOR, 4: TIME, 5: TIME})
IS_INSTRUCTION = is_map({0: UID, 1: SEQ, 2: SEQ, 3: is_range(0, 5), 4: TIME, 5: TIME})
IS_KICK = is_map({0: UID, 1: ID16, 2: SEQ})


def is_sites(value):
    check(type(value) is list, "sites")
    for site in value:
        NUMBER(site)


IS_CREDENTIAL = is_map({0: NUMBER, 1: KEY, 2: is_sites, 3: TIME})
IS_ENROLMENT = is_map({0: KEY, 1: SEQ, 2: HASH})


def is_status(value):
    check(type(value) is list and len(value) == 2 and type(value[1]) is list, "status")
    kind, inner = value
    if kind == 0:
        check(len(inner) == 1 and type(inner[0]) is bool, "SUCCESS")
    elif kind == 1:
        check(1 <= len(inner) <= 3, "FAILED")
        is_range(0, 17)(inner[0])
        if len(inner) == 2 or len(inner) == 3 and inner[1] is not None:
            is_text(inner[1])
        if len(inner) == 3:
            KEY(inner[2])
    elif kind == 2:
        is_array(is_range(0, 3), is_number(8), NUMBER)(inner)
    else:
        raise Malformed("status %r" % kind)


IS_RESULT = is_map({0: UID, 1: ID16, 2: HASH, 3: SEQ, 4: ID16, 5: is_status})


def is_label(text):
    return (
        0 < len(text) <= 63
        and text[0] != "-"
        and text[-1] != "-"
        and all(c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in text)
    )


def is_ip(value):
    NUMBER(value)
    first = value >> 24
    check(value not in (0, 0xFFFFFFFF) and first != 127 and not 224 <= first <= 239, "unusable address")


def is_ip6(value):
    """Unicast; a gateway may be link-local."""
    is_bytes(16)(value)
    mapped = value[:12] == bytes(10) + b"\xff\xff"
    check(value[0] != 0xFF and int.from_bytes(value, "big") > 1 and not mapped, "unusable address")


def is_global6(value):
    is_ip6(value)
    check(not is_link_local(value), "link-local address")


def is_link_local(value):
    return value[0] == 0xFE and value[1] & 0xC0 == 0x80


def is_server(value):
    (is_global6 if type(value) is bytes else is_ip)(value)


def unique(pairs):
    check(len(dict(pairs)) == len(pairs), "a name twice")
    return dict(pairs)


class Number(str):
    """A number as it is written."""


def canonical(value, depth=1):
    """JSON in its canonical form; numbers as they were written."""
    if isinstance(value, Number):
        check(len(value) <= 32, "a number that is too long")
        return str(value)
    if isinstance(value, str):
        written = ""
        for c in value:
            short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(c)
            check(short or not misleads(c), "a character that nobody sees")
            written += short or c
        return '"%s"' % written
    if isinstance(value, (dict, list)):
        check(depth <= 8, "too deep")
        if isinstance(value, list):
            return "[%s]" % ",".join(canonical(item, depth + 1) for item in value)
        names = sorted(value, key=lambda name: name.encode())
        return "{%s}" % ",".join("%s:%s" % (canonical(name), canonical(value[name], depth + 1)) for name in names)
    return {True: "true", False: "false", None: "null"}[value]


def misleads(c):
    code = ord(c)
    ranges = (
        (0, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200B), (0x200E, 0x200F),
        (0x2028, 0x202E), (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F),
    )  # fmt: skip
    return any(first <= code <= last for first, last in ranges)


def is_application(value):
    is_text(value)
    check(len(value.encode()) <= 700, "application settings that are too long")
    try:
        read = json.loads(value, object_pairs_hook=unique, parse_int=Number, parse_float=Number)
        check(isinstance(read, dict) and read and canonical(read) == value, "application settings")
    except (ValueError, KeyError):
        raise Malformed("application settings") from None


def is_list(form, written):
    def check_list(value):
        check(type(value) is list and 1 <= len(value) <= 3, "a list of one to three")
        for item in value:
            form(item)
        check(len({encode(item) for item in value}) == len(value), "an entry twice")
        check(len(" ".join(map(written, value))) <= 128, "a list that is too long")

    return check_list


def is_name(value):
    is_text(value)
    check(all(map(is_label, value.split("."))), "no name")


def is_time_server(value):
    if type(value) is not str:
        return is_server(value)
    is_name(value)
    check(not value.split(".")[-1].isdigit() and value != "none", "no name of a time server")


def is_search_domain(value):
    is_name(value)
    check(value != "none", "no search domain")


def address_text(value):
    if type(value) is str:
        return value
    return str(ipaddress.IPv6Address(value) if type(value) is bytes else ipaddress.IPv4Address(value))


IS_NTP = is_list(is_time_server, address_text)
IS_SEARCH = is_list(is_search_domain, str)


def is_grant(value):
    is_map(
        {
            0: UID, 1: MAC, 2: NUMBER, 3: SEQ, 4: is_text, 5: is_text, 6: is_ip, 7: is_range(8, 30),
            11: is_range(0, 1), 12: is_range(30, 600), 13: is_range(5, 86400), 14: KEY, 15: KEY, 16: TIME, 17: TIME,
            18: is_text, 19: HASH,
        },
        {8: is_ip, 9: is_server, 10: is_server, 20: is_global6, 21: is_range(16, 127), 22: is_ip6,
         23: IS_NTP, 24: IS_SEARCH, 30: is_range(0, 1),
         31: is_application},
    )(value)  # fmt: skip
    check(is_label(value[4]), "host name")
    check(len(value[5]) <= 190 and all(map(is_label, value[5].split("."))), "domain")
    check(10 not in value or 9 in value, "second name server without first")
    check(len(value[18].encode()) <= 128, "NOC address")
    mask = 0xFFFFFFFF << (32 - value[7]) & 0xFFFFFFFF
    network, broadcast = value[6] & mask, value[6] | ~mask & 0xFFFFFFFF
    check(value[6] not in (network, broadcast), "first or last address of its network")
    if 8 in value:
        check(value[8] & mask == network, "gateway outside the network")
        check(value[8] not in (network, broadcast, value[6]), "gateway")
    check((20 in value) == (21 in value), "IPv6 address and prefix go together")
    check(22 not in value or 20 in value, "IPv6 gateway without address")
    if 20 in value:
        shift = 128 - value[21]
        address = int.from_bytes(value[20], "big")
        network = address >> shift << shift
        check(value[21] == 127 or address != network, "the address of all routers")
        if 22 in value:
            gateway = int.from_bytes(value[22], "big")
            check(is_link_local(value[22]) or gateway >> shift << shift == network, "IPv6 gateway outside the network")
            check(gateway != address, "IPv6 gateway")


# Signatures


def sig_structure(purpose, payload):
    return encode(["Signature1", bytes.fromhex("a10127"), purpose.encode(), payload])


def sign(seed, purpose, payload):
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(sig_structure(purpose, payload))
    return bytes.fromhex("8443a10127a0") + encode(payload) + encode(signature)


def parse_cose(data):
    check(data[:6] == bytes.fromhex("8443a10127a0"), "not a COSE_Sign1 of version 1")
    value = decode(data)
    check(type(value) is list and len(value) == 4, "not a COSE_Sign1")
    is_bytes()(value[2])
    is_bytes(64)(value[3])
    return value[2], value[3]


def verify(key, purpose, data):
    payload, signature = parse_cose(data)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, sig_structure(purpose, payload))
    except (InvalidSignature, ValueError):
        raise Refused("signature for %s" % purpose)
    return payload


def ed25519_public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


# Sealing: RFC 9180


def hkdf_extract(salt, ikm):
    return hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()


def hkdf_expand(prk, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


KEM = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (0x0020, 0x0001, 0x0003))


def labeled_extract(suite, salt, label, ikm):
    return hkdf_extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, length):
    return hkdf_expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def exchange(secret, public):
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused("a key of small order")


def derive_secret(ikm):
    return labeled_expand(KEM, labeled_extract(KEM, b"", b"dkp_prk", ikm), b"sk", b"", 32)


def key_schedule(mode, dh, enc, recipient, info, psk, psk_id):
    """Every step, by the names that RFC 9180 gives."""
    s = {"dh": dh, "kem_context": enc + recipient}
    eae = labeled_extract(KEM, b"", b"eae_prk", dh)
    s["shared_secret"] = labeled_expand(KEM, eae, b"shared_secret", s["kem_context"], 32)
    s["psk_id_hash"] = labeled_extract(SUITE, b"", b"psk_id_hash", psk_id)
    s["info_hash"] = labeled_extract(SUITE, b"", b"info_hash", info)
    s["key_schedule_context"] = bytes([mode]) + s["psk_id_hash"] + s["info_hash"]
    s["secret"] = labeled_extract(SUITE, s["shared_secret"], b"secret", psk)
    for name, label, length in (("key", b"key", 32), ("base_nonce", b"base_nonce", 12), ("exporter_secret", b"exp", 32)):
        s[name] = labeled_expand(SUITE, s["secret"], label, s["key_schedule_context"], length)
    s["exported_key"] = labeled_expand(SUITE, s["exporter_secret"], b"sec", b"muster/1 answers", 32)
    return s


def seal(recipient, info, psk, aad, plaintext, ikm=None):
    secret = derive_secret(ikm or os.urandom(32))
    enc = x25519_public(secret)
    mode, psk_id = (1, b"muster/1 claim") if psk else (0, b"")
    s = key_schedule(mode, exchange(secret, recipient), enc, recipient, info, psk or b"", psk_id)
    return enc, ChaCha20Poly1305(s["key"]).encrypt(s["base_nonce"], plaintext, aad), s["exported_key"]


def unseal(secret, enc, info, psk, aad, ciphertext):
    mode, psk_id = (1, b"muster/1 claim") if psk else (0, b"")
    s = key_schedule(mode, exchange(secret, enc), enc, x25519_public(secret), info, psk or b"", psk_id)
    try:
        return ChaCha20Poly1305(s["key"]).decrypt(s["base_nonce"], ciphertext, aad), s["exported_key"]
    except InvalidTag:
        raise Refused("not_opened")


def tag_of(exported, signed):
    return hmac.new(exported, signed, hashlib.sha256).digest()[:16]


# Values and texts


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def base32(data):
    return base64.b32encode(data).decode().rstrip("=")


def groups(letters):
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))


def letters_of(text):
    kept = "".join(c for c in text.upper() if not c.isspace() and c != "-")
    return kept.replace("0", "O").replace("1", "I").replace("8", "B")


def from_base32(letters):
    return base64.b32decode(letters + "=" * (-len(letters) % 8))


def uid_of(device_key):
    return sha256(device_key)[:20]


def uid_text(uid):
    return groups(base32(uid))


def mac_text(mac):
    return ":".join("%02X" % b for b in mac)


def label_check(secret):
    return base32(sha256(b"muster label check", secret)[:5])[:4]


def label_code(secret):
    return groups(base32(secret) + label_check(secret))


def read_label_code(text):
    letters = letters_of(text)
    check(len(letters) == 20, "length of the label code")
    secret = from_base32(letters[:16])
    check(label_check(secret) == letters[16:], "mistyped label code")
    return secret


def claim_key(secret):
    return hkdf_expand(hkdf_extract(b"", secret), b"muster/1 claim", 32)


def heard_hash(salt, uid):
    return sha256(b"muster/1 heard", salt, uid)[:6]


def in_shard(bits, index, shard_bytes):
    return int.from_bytes(shard_bytes, "big") >> (16 - bits) == index


def asks(ping, uid):
    if 5 in ping:
        return ping[5] == uid
    hashed = heard_hash(ping[2], uid)
    listed = {ping[4][i : i + 4] for i in range(0, len(ping[4]), 4)}
    return in_shard(*ping[3], hashed[4:]) and hashed[:4] not in listed


# Messages


BODIES = {
    CONFIG: is_map({0: IS_ADDRESS, 1: is_bytes(32), 2: is_bytes()}),
    RESULT: is_map({0: is_bytes()}, {1: TAG}),
    KICK_START: is_map({0: UID, 1: is_bytes(), 2: TAG}),
    PING: is_map({}, {0: is_bytes(), 1: is_bytes(), 2: is_bytes()}),
}


def read_datagram(data):
    """Kind and body; the reason as a Malformed whose text is the word of refused.json."""
    check(len(data) <= MAX_DATAGRAM, "too_long")
    check(len(data) >= 6 and data[:4] == b"MUST", "magic")
    check(data[4] == 1, "version")
    check(1 <= data[5] <= 5, "kind")
    if data[5] == HERE:
        return HERE, data[6:]
    try:
        body = decode(data[6:])
        BODIES[data[5]](body)
    except Malformed:
        raise Malformed("body")
    return data[5], body


def datagram(kind, body):
    return b"MUST\x01" + bytes([kind]) + (body if type(body) is bytes else encode(body))


def read_ping(body):
    """The ping, and its COSE_Sign1 if it is signed."""
    check((0 in body) != (1 in body), "neither or both of plain and signed")
    payload = body[0] if 0 in body else parse_cose(body[1])[0]
    ping = decode(payload)
    IS_PING(ping)
    return ping, body.get(1)


def read_signed(data, form):
    payload, _ = parse_cose(data)
    value = decode(payload)
    form(value)
    return value


def read_here(signed):
    here = read_signed(signed, IS_HERE)
    verify(here[1], "muster/1 here", signed)
    return here


def read_settings(secret, uid, field):
    plaintext, _ = unseal(secret, field[0], b"muster/1 settings", None, uid, field[1])
    settings = decode(plaintext)
    check(type(settings) is list and 7 <= len(settings) <= 9, "settings")
    is_array(*[is_text] * len(settings))(settings)
    check(all(settings[7:]), "what is absent at the end is left out")
    return settings


def open_config(body, secret, psk, pinned, vendor=None, time=None):
    """The grant and the exported key; Refused with the code of the reason. `vendor`: whose vouchers count, without a pin."""
    signed, exported = unseal(secret, body[1], b"muster/1 config", psk, encode(body[0]), body[2])
    try:
        order = read_signed(signed, IS_ORDER)
    except Malformed:
        raise Refused("wrong_console")
    try:
        root = pinned or read_signed(order[0], is_grant)[15]
        grant = decode(verify(root, "muster/1 grant", order[0]))
        is_grant(grant)
    except (Malformed, Refused):
        raise Refused("wrong_root")
    if grant[15] != root:
        raise Refused("wrong_root")
    try:
        verify(grant[14], "muster/1 config", signed)
    except Refused:
        raise Refused("wrong_console")
    if order[1] != body[0][2] or order[2] != body[0][3]:
        raise Refused("not_opened")
    if vendor and not pinned and grant[0] == body[0][0] and grant[1] == body[0][1]:
        check_voucher(order.get(3), vendor, grant, time)
    return grant, exported


def check_voucher(signed, vendor, grant, time):
    try:
        voucher = read_signed(signed, IS_VOUCHER)
        verify(voucher[2], "muster/1 voucher", signed)
    except (Malformed, Refused, TypeError):
        raise Refused("voucher_refused")
    ended = time is not None and voucher.get(4, time) < time
    if voucher[2] != vendor or voucher[0] != grant[0] or voucher[1] != grant[15] or ended:
        raise Refused("voucher_refused")


def read_handover(signed, root, uid, seq, time=None):
    """The hand-over of a root to the appliance `uid` that is configured by grant `seq`; Refused with the code of the reason."""
    try:
        handover = decode(verify(root, "muster/1 hand-over", signed))
        IS_HANDOVER(handover)
        check(is_address(handover[3][0]), "address of the successor")
    except (Malformed, Refused):
        raise Refused("wrong_root")
    if handover[0] != uid:
        raise Refused("wrong_appliance")
    if handover[1] != seq:
        raise Refused("old_sequence")
    if time is not None and handover[5] < time:
        raise Refused("expired")
    return handover


def is_address(text):
    host, colon, port = text.rpartition(":")
    good = all(c.isascii() and (c.isalnum() or c in "-.:[]") for c in host) and port.isascii() and port.isdigit()
    return len(text) <= 128 and bool(host and colon) and good and 0 < int(port) < 65536


def make_config(console_seed, grant, address, psk, ikm=None, voucher=None):
    order = {0: grant, 1: address[2], 2: address[3]}
    order = encode(order if voucher is None else {**order, 3: voucher})
    signed = sign(console_seed, "muster/1 config", order)
    enc, ciphertext, exported = seal(address[2], b"muster/1 config", psk, encode(address), signed, ikm)
    return datagram(CONFIG, {0: address, 1: enc, 2: ciphertext}), exported


def read_result(body, device_key, exported):
    result = decode(verify(device_key, "muster/1 result", body[0]))
    IS_RESULT(result)
    if result[0] != uid_of(device_key):
        raise Refused("another appliance")
    if 1 in body:
        if not hmac.compare_digest(body[1], tag_of(exported, body[0])):
            raise Refused("tag")
    elif result[5][0] != 1:
        raise Refused("only FAILED is believed without a tag")
    return result


def read_kick(body, console_key, exported):
    if not hmac.compare_digest(body[2], tag_of(exported, body[1])):
        raise Refused("tag")
    kick = decode(verify(console_key, "muster/1 kick-start", body[1]))
    IS_KICK(kick)
    if kick[0] != body[0]:
        raise Refused("another appliance")
    return kick


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    import check_roles

    sys.exit(check_roles.main(sys.argv[1:]))
