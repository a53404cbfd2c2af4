-- Wireshark dissector for the Muster protocol, version 1 (docs/protocol.md): the part that is in clear.
--
--   wireshark -X lua_script:docs/wireshark/muster.lua recording.pcap
--
-- or copy it to the folder that Help > About Wireshark > Folders calls "Personal Lua Plugins".
--
-- Everything from the network is hostile: lengths are checked against what is there before anything is read, and nesting goes
-- only as deep as the messages do, whatever the bytes say. Signatures are shown and not checked (`muster decode` does that).

local muster = Proto("muster", "Muster")

local NONE, HEX, DEC = base.NONE, base.HEX, base.DEC
local KINDS = { [1] = "Ping", [2] = "Here", [3] = "Config packet", [4] = "Result", [5] = "Kick-start" }
local STATES = { [0] = "unconfigured", "installing", "provisional", "configured" }
local PROOFS = { [0] = "claim code", "voucher", "open" }
local STATUSES = { [0] = "SUCCESS", "FAILED", "UNCONFIGURED" }
local STAGES = { [0] = "probing the address", "network", "components", "first beat" }
local REASONS = {
    [0] = "key_unknown", "not_opened", "wrong_root", "wrong_console", "wrong_appliance", "old_sequence", "expired",
    "request_reused", "busy", "address_taken", "apply_failed", "storage", "no_kick_start", "no_beat", "interrupted",
    "too_many_attempts", "install_failed", "voucher_refused", "application_not_supported",
    "application_failed",
}

local f = {
    magic = ProtoField.string("muster.magic", "Magic"),
    version = ProtoField.uint8("muster.version", "Version", DEC),
    kind = ProtoField.uint8("muster.kind", "Kind", DEC, KINDS),
    uid = ProtoField.string("muster.uid", "UID"),
    mac = ProtoField.ether("muster.mac", "MAC"),
    boot = ProtoField.bytes("muster.boot", "Boot id"),
    request = ProtoField.bytes("muster.request", "Request id"),
    seq = ProtoField.uint64("muster.seq", "Sequence", DEC),
    one_time_key = ProtoField.bytes("muster.one_time_key", "One-time key (X25519)"),
    tag = ProtoField.bytes("muster.tag", "Tag by the exported key"),
    payload = ProtoField.none("muster.payload", "Payload"),
    signature = ProtoField.bytes("muster.signature", "Signature (Ed25519, not checked)"),
    signed = ProtoField.none("muster.signed", "Signed (COSE_Sign1)"),
    enc = ProtoField.bytes("muster.enc", "Encapsulated key (HPKE)"),
    ciphertext = ProtoField.bytes("muster.ciphertext", "Sealed (HPKE)"),
    ping = ProtoField.none("muster.ping", "Ping"),
    ping_id = ProtoField.bytes("muster.ping.id", "Ping id"),
    window = ProtoField.uint32("muster.ping.window", "Window (ms)", DEC),
    salt = ProtoField.bytes("muster.ping.salt", "Salt of the heard hashes"),
    shard = ProtoField.none("muster.ping.shard", "Shard"),
    shard_bits = ProtoField.uint32("muster.ping.shard.bits", "Bits", DEC),
    shard_index = ProtoField.uint32("muster.ping.shard.index", "Index", DEC),
    heard = ProtoField.bytes("muster.ping.heard", "Heard hashes"),
    heard_count = ProtoField.uint32("muster.ping.heard.count", "Heard appliances", DEC),
    only = ProtoField.string("muster.ping.only", "Only this appliance"),
    reply_key = ProtoField.bytes("muster.ping.reply_key", "Reply key (X25519)"),
    padding = ProtoField.bytes("muster.ping.padding", "Padding"),
    credential = ProtoField.none("muster.credential", "Credential by the NOC root"),
    console = ProtoField.uint32("muster.credential.console", "Console", DEC),
    console_key = ProtoField.bytes("muster.credential.key", "Console key (Ed25519)"),
    site = ProtoField.uint32("muster.credential.site", "Site", DEC),
    expires = ProtoField.absolute_time("muster.credential.expires", "Expires", base.UTC),
    device_key = ProtoField.bytes("muster.here.device_key", "Device key (Ed25519)"),
    state = ProtoField.uint8("muster.here.state", "State", DEC, STATES),
    proof = ProtoField.uint8("muster.here.proof", "Proof of ownership", DEC, PROOFS),
    settings = ProtoField.none("muster.here.settings", "Settings, sealed to the reply key"),
    address = ProtoField.none("muster.config.address", "Address"),
    packet_hash = ProtoField.bytes("muster.result.packet", "Hash of the config packet (SHA-256)"),
    status = ProtoField.uint8("muster.result.status", "Status", DEC, STATUSES),
    committed = ProtoField.bool("muster.result.committed", "Committed"),
    reason = ProtoField.uint8("muster.result.reason", "Reason", DEC, REASONS),
    detail = ProtoField.string("muster.result.detail", "Detail"),
    next_key = ProtoField.bytes("muster.result.next_key", "Next one-time key (X25519)"),
    stage = ProtoField.uint8("muster.result.stage", "Stage", DEC, STAGES),
    percent = ProtoField.uint8("muster.result.percent", "Percent", DEC),
    ask_again = ProtoField.uint32("muster.result.ask_again", "Ask again (ms)", DEC),
}
local all = {}
for _, field in pairs(f) do all[#all + 1] = field end
muster.fields = all

local malformed = ProtoExpert.new("muster.malformed", "Malformed Muster datagram", expert.group.MALFORMED, expert.severity.ERROR)
local unknown = ProtoExpert.new("muster.unknown", "Unknown version or kind", expert.group.UNDECODED, expert.severity.WARN)
muster.experts = { malformed, unknown }

-- Heads of CBOR items ------------------------------------------------------------------------------------------------

local UINT, BYTES, TEXT, ARRAY, MAP = 0, 2, 3, 4, 5

-- Returns a head {major, number, at, next}, or nil and where and why not.
local function head(tvb, at, stop)
    if at >= stop then return nil, at, "cut short" end
    local first = tvb(at, 1):uint()
    local major, info = math.floor(first / 32), first % 32
    if info > 27 then return nil, at, "an indefinite or reserved length" end
    local size = info < 24 and 0 or 2 ^ (info - 24)
    if at + 1 + size > stop then return nil, stop, "cut short" end
    local number = info
    if size > 0 then
        number = 0
        -- Beyond 2^53 this is not exact; such numbers are only compared with lengths, and shown from their bytes.
        for i = 1, size do number = number * 256 + tvb(at + i, 1):uint() end
        local least = size == 1 and 24 or 2 ^ (4 * size)
        if major ~= 7 and number < least then return nil, at, "a number that is not written in its shortest form" end
    end
    return { major = major, number = number, at = at, next = at + 1 + size, size = size }
end

local function expect(tvb, at, stop, major, what)
    local h, where, why = head(tvb, at, stop)
    if not h then return nil, where, why end
    if h.major ~= major then return nil, at, "expected " .. what end
    if (major == BYTES or major == TEXT) and h.number > stop - h.next then
        return nil, at, "cut short: more bytes are announced than there are"
    end
    return h
end

-- Texts --------------------------------------------------------------------------------------------------------------

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

-- 20 bytes as eight groups of four letters; 5 bytes are 8 letters, and 40 bits are exact in a number.
local function uid_text(bytes)
    local letters = {}
    for chunk = 0, 3 do
        local value = 0
        for i = 0, 4 do value = value * 256 + bytes[chunk * 5 + i + 1] end
        local eight = {}
        for i = 8, 1, -1 do
            local index = value % 32
            eight[i] = ALPHABET:sub(index + 1, index + 1)
            value = (value - index) / 32
        end
        letters[#letters + 1] = table.concat(eight, "", 1, 4)
        letters[#letters + 1] = table.concat(eight, "", 5, 8)
    end
    return table.concat(letters, "-")
end

local function bytes_of(range)
    local bytes = {}
    for i = 0, range:len() - 1 do bytes[i + 1] = range(i, 1):uint() end
    return bytes
end

-- The UID of a device key is the beginning of its SHA-256 (FIPS 180-4), for which Lua has no function. One block: 32 bytes.
local bits = bit32 or bit
local ROUNDS = {}
do
    local n, found = 2, 0
    while found < 64 do
        local is_prime = true
        for d = 2, math.floor(math.sqrt(n)) do
            if n % d == 0 then is_prime = false break end
        end
        if is_prime then
            found = found + 1
            local root = n ^ (1 / 3)
            ROUNDS[found] = math.floor((root - math.floor(root)) * 2 ^ 32)
        end
        n = n + 1
    end
end

local function sha256_of_32(bytes)
    local band, bxor, bnot, rshift = bits.band, bits.bxor, bits.bnot, bits.rshift
    local rotate = bits.rrotate or bits.ror
    local w = {}
    for i = 0, 7 do
        w[i + 1] = ((bytes[4 * i + 1] * 256 + bytes[4 * i + 2]) * 256 + bytes[4 * i + 3]) * 256 + bytes[4 * i + 4]
    end
    w[9] = 0x80000000
    for i = 10, 15 do w[i] = 0 end
    w[16] = 256
    local function add(...)
        local sum = 0
        for _, n in ipairs({ ... }) do sum = sum + n % 2 ^ 32 end
        return sum % 2 ^ 32
    end
    for i = 17, 64 do
        local a, b = w[i - 15], w[i - 2]
        local s0 = bxor(rotate(a, 7), rotate(a, 18), rshift(a, 3))
        local s1 = bxor(rotate(b, 17), rotate(b, 19), rshift(b, 10))
        w[i] = add(w[i - 16], s0, w[i - 7], s1)
    end
    local start = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 }
    local a, b, c, d, e, g, h, k = table.unpack(start)
    for i = 1, 64 do
        local s1 = bxor(rotate(e, 6), rotate(e, 11), rotate(e, 25))
        local choice = bxor(band(e, g), band(bnot(e), h))
        local t1 = add(k, s1, choice, ROUNDS[i], w[i])
        local s0 = bxor(rotate(a, 2), rotate(a, 13), rotate(a, 22))
        local majority = bxor(band(a, b), band(a, c), band(b, c))
        a, b, c, d, e, g, h, k = add(t1, s0, majority), a, b, c, add(d, t1), e, g, h
    end
    local digest = {}
    for i, n in ipairs({ a, b, c, d, e, g, h, k }) do
        local word = add(n, start[i])
        for j = 3, 0, -1 do digest[#digest + 1] = math.floor(word / 256 ^ j) % 256 end
    end
    return digest
end

-- What the list of packets says about the packet that is being read.
local summary

-- Readers: each takes (tvb, at, stop, tree, field) and returns where the next item begins, or nil, where and why not. ---

local read = {}

local function bytes(size)
    return function(tvb, at, stop, tree, field)
        local h, where, why = expect(tvb, at, stop, BYTES, "a byte string")
        if not h then return nil, where, why end
        if size and h.number ~= size then return nil, at, "expected a byte string of " .. size end
        if h.number > 0 then tree:add(field, tvb(h.next, h.number)) end
        return h.next + h.number
    end
end

function read.uid(tvb, at, stop, tree, field)
    local h, where, why = expect(tvb, at, stop, BYTES, "a byte string")
    if not h then return nil, where, why end
    if h.number ~= 20 then return nil, at, "expected a byte string of 20" end
    local range = tvb(h.next, 20)
    tree:add(field, range, uid_text(bytes_of(range)))
    return h.next + 20
end

local function number(most)
    return function(tvb, at, stop, tree, field)
        local h, where, why = expect(tvb, at, stop, UINT, "a number")
        if not h then return nil, where, why end
        if h.number > most then return nil, at, "more than " .. most end
        tree:add(field, tvb(at, h.next - at), h.number)
        return h.next, nil, nil, h.number
    end
end

-- A number that stands for a word, which goes into the summary.
local function word(words)
    return function(tvb, at, stop, tree, field)
        local next, where, why, n = number(#words)(tvb, at, stop, tree, field)
        if next then summary = summary .. ", " .. words[n] end
        return next, where, why, n
    end
end

local function long(tvb, at, stop)
    local h, where, why = expect(tvb, at, stop, UINT, "a number")
    if not h then return nil, where, why end
    if h.size == 8 then return h, tvb(at + 1, 8):uint64() end
    return h, UInt64(h.number % 2 ^ 32, math.floor(h.number / 2 ^ 32))
end

function read.seq(tvb, at, stop, tree, field)
    local h, value, why = long(tvb, at, stop)
    if not h then return nil, value, why end
    tree:add(field, tvb(at, h.next - at), value)
    return h.next
end

function read.time(tvb, at, stop, tree, field)
    local h, value, why = long(tvb, at, stop)
    if not h then return nil, value, why end
    -- Wireshark keeps seconds as signed numbers.
    if h.number < 2 ^ 32 then
        tree:add(field, tvb(at, h.next - at), NSTime(h.number, 0))
    else
        tree:add(tvb(at, h.next - at), "Expires: " .. tostring(value) .. " s after 1970")
    end
    return h.next
end

function read.heard(tvb, at, stop, tree, field)
    local h, where, why = expect(tvb, at, stop, BYTES, "a byte string")
    if not h then return nil, where, why end
    if h.number % 4 ~= 0 or h.number > 512 then return nil, at, "heard hashes have 4 bytes each, and are at most 128" end
    tree:add(f.heard_count, tvb(at, h.next - at), h.number / 4)
    if h.number > 0 then tree:add(field, tvb(h.next, h.number)) end
    return h.next + h.number
end

function read.text(tvb, at, stop, tree, field)
    local h, where, why = expect(tvb, at, stop, TEXT, "a text")
    if not h then return nil, where, why end
    -- Wireshark escapes what is not printable.
    if h.number > 0 then tree:add_packet_field(field, tvb(h.next, h.number), ENC_UTF_8) end
    return h.next + h.number
end

function read.bool(tvb, at, stop, tree, field)
    local byte = at < stop and tvb(at, 1):uint()
    if byte ~= 0xf4 and byte ~= 0xf5 then return nil, at, "expected true or false" end
    tree:add(field, tvb(at, 1), byte == 0xf5)
    return at + 1
end

function read.sites(tvb, at, stop, tree, field)
    local h, where, why = expect(tvb, at, stop, ARRAY, "an array")
    if not h then return nil, where, why end
    local next, site = h.next, number(2 ^ 32 - 1)
    -- Each site takes a byte at least, so a huge count ends with the bytes.
    for _ = 1, h.number do
        next, where, why = site(tvb, next, stop, tree, field)
        if not next then return nil, where, why end
    end
    return next
end

-- A map by its fields {key, name of the field, reader, "optional"}, in the order of their keys.
local function map(fields)
    return function(tvb, at, stop, tree, field)
        local h, where, why = expect(tvb, at, stop, MAP, "a map")
        if not h then return nil, where, why end
        local inner = field and tree:add(field, tvb(at, stop - at)) or tree
        local next, seen = h.next, 0
        local function missing(before)
            while seen < #fields and fields[seen + 1][1] < before do
                seen = seen + 1
                if not fields[seen][4] then return "field " .. fields[seen][1] .. " is missing" end
            end
        end
        for _ = 1, h.number do
            local key
            key, where, why = expect(tvb, next, stop, UINT, "a field's number")
            if not key then return nil, where, why end
            why = missing(key.number)
            if why then return nil, next, why end
            local entry = fields[seen + 1]
            if not entry or entry[1] ~= key.number then
                return nil, next, "field " .. string.format("%.0f", key.number) .. " is unknown, twice or out of order"
            end
            seen = seen + 1
            local started = next
            next, where, why = entry[3](tvb, key.next, stop, inner, f[entry[2]])
            if not next then return nil, where, why, started end
        end
        why = missing(math.huge)
        if why then return nil, next, why end
        if field then inner:set_len(next - at) end
        return next
    end
end

local function array(fields)
    return function(tvb, at, stop, tree, field)
        local h, where, why = expect(tvb, at, stop, ARRAY, "an array")
        if not h then return nil, where, why end
        if h.number ~= #fields then return nil, at, "expected an array of " .. #fields end
        local inner, next = field and tree:add(field, tvb(at, stop - at)) or tree, h.next
        for _, entry in ipairs(fields) do
            next, where, why = entry[2](tvb, next, stop, inner, f[entry[1]])
            if not next then return nil, where, why end
        end
        if field then inner:set_len(next - at) end
        return next
    end
end

-- A byte string that holds something else, which must fill it.
local function nested(what)
    return function(tvb, at, stop, tree, field)
        local h, where, why = expect(tvb, at, stop, BYTES, "a byte string")
        if not h then return nil, where, why end
        local last = h.next + h.number
        local next
        next, where, why = what(tvb, h.next, last, tree, field)
        if not next then return nil, where, why end
        if next ~= last then return nil, next, "trailing bytes" end
        return last
    end
end

local COSE = { 0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0 }

local function signed(payload)
    return function(tvb, at, stop, tree, field)
        for i, byte in ipairs(COSE) do
            if at + i > stop then return nil, stop, "cut short" end
            if tvb(at + i - 1, 1):uint() ~= byte then return nil, at + i - 1, "not a COSE_Sign1 of version 1" end
        end
        local inner = tree:add(field or f.signed, tvb(at, stop - at))
        local next, where, why = nested(payload)(tvb, at + #COSE, stop, inner, f.payload)
        if not next then return nil, where, why end
        next, where, why = bytes(64)(tvb, next, stop, inner, f.signature)
        if not next then return nil, where, why end
        if next ~= stop then return nil, next, "trailing bytes" end
        return next
    end
end

function read.status(tvb, at, stop, tree, field)
    local h, where, why = expect(tvb, at, stop, ARRAY, "an array")
    if not h then return nil, where, why end
    if h.number ~= 2 then return nil, at, "expected an array of 2" end
    local next, status
    next, where, why, status = word(STATUSES)(tvb, h.next, stop, tree, field)
    if not next then return nil, where, why end
    if status == 0 then return array({ { "committed", read.bool } })(tvb, next, stop, tree) end
    if status == 2 then
        local fields = { { "stage", word(STAGES) }, { "percent", number(255) }, { "ask_again", number(2 ^ 32 - 1) } }
        return array(fields)(tvb, next, stop, tree)
    end
    local inner
    inner, where, why = expect(tvb, next, stop, ARRAY, "an array")
    if not inner then return nil, where, why end
    if inner.number < 1 or inner.number > 3 then return nil, next, "expected an array of 1 to 3" end
    next, where, why = word(REASONS)(tvb, inner.next, stop, tree, f.reason)
    if next and inner.number >= 2 then
        if inner.number == 3 and next < stop and tvb(next, 1):uint() == 0xf6 then
            next = next + 1
        else
            next, where, why = read.text(tvb, next, stop, tree, f.detail)
        end
    end
    if next and inner.number == 3 then next, where, why = bytes(32)(tvb, next, stop, tree, f.next_key) end
    return next, where, why
end

-- The device key, and the UID that follows from it.
local function device_key(tvb, at, stop, tree, field)
    local next, where, why = bytes(32)(tvb, at, stop, tree, field)
    if next and bits then
        local range = tvb(next - 32, 32)
        tree:add(f.uid, range, uid_text(sha256_of_32(bytes_of(range)))):set_generated()
    end
    return next, where, why
end

-- A credential is the NOC's affair: what is wrong in it makes no ping malformed.
local function credential(tvb, at, stop, tree)
    local h, where, why = expect(tvb, at, stop, BYTES, "a byte string")
    if not h then return nil, where, why end
    local fields = {
        { 0, "console", number(2 ^ 32 - 1) }, { 1, "console_key", bytes(32) }, { 2, "site", read.sites },
        { 3, "expires", read.time },
    }
    local last = h.next + h.number
    local next
    next, where, why = signed(map(fields))(tvb, h.next, last, tree, f.credential)
    if not next then tree:add(tvb(at, last - at), "Credential that does not read: " .. why) end
    return last
end

-- Messages -----------------------------------------------------------------------------------------------------------

local shard = array({ { "shard_bits", number(16) }, { "shard_index", number(0xffff) } })
local ping = map({
    { 0, "ping_id", bytes(16) }, { 1, "window", number(0xffff) }, { 2, "salt", bytes(8) }, { 3, "shard", shard },
    { 4, "heard", read.heard }, { 5, "only", read.uid, "optional" }, { 6, "reply_key", bytes(32), "optional" },
    { 7, "credential", credential, "optional" },
})
local address = map({
    { 0, "uid", read.uid }, { 1, "mac", bytes(6) }, { 2, "one_time_key", bytes(32) }, { 3, "request", bytes(16) },
})
local here = map({
    { 0, "ping_id", bytes(16) }, { 1, "device_key", device_key }, { 2, "mac", bytes(6) }, { 3, "state", word(STATES) },
    { 4, "one_time_key", bytes(32) }, { 5, "boot", bytes(16) }, { 6, "proof", number(2) },
    { 7, "settings", array({ { "enc", bytes(32) }, { "ciphertext", bytes() } }), "optional" },
})
local result = map({
    { 0, "uid", read.uid }, { 1, "request", bytes(16) }, { 2, "packet_hash", bytes(32) }, { 3, "seq", read.seq },
    { 4, "boot", bytes(16) }, { 5, "status", read.status },
})
local kick = map({ { 0, "uid", read.uid }, { 1, "request", bytes(16) }, { 2, "seq", read.seq } })

local bodies = {
    map({
        { 0, "ping", nested(ping), "optional" }, { 1, "signed", nested(signed(ping)), "optional" },
        { 2, "padding", bytes(), "optional" },
    }),
    signed(here),
    map({ { 0, "address", address }, { 1, "enc", bytes(32) }, { 2, "ciphertext", bytes() } }),
    map({ { 0, "signed", nested(signed(result)) }, { 1, "tag", bytes(16), "optional" } }),
    map({ { 0, "uid", read.uid }, { 1, "signed", nested(signed(kick)) }, { 2, "tag", bytes(16) } }),
}

-- A ping is plain or signed: its first field says which, and there is only one.
local function one_of_two(tvb)
    local first = tvb:len() > 7 and tvb(7, 1):uint()
    if first ~= 0 and first ~= 1 then return nil, 6, "a ping that is neither plain nor signed" end
    if first == 0 then
        local h = expect(tvb, 8, tvb:len(), BYTES, "")
        local next = h and h.next + h.number
        if next and next < tvb:len() and tvb(next, 1):uint() == 1 then return nil, next, "a ping that is both plain and signed" end
    end
    return true
end

function muster.dissector(tvb, pinfo, tree)
    if tvb:len() < 4 or tvb(0, 4):string() ~= "MUST" then return 0 end
    pinfo.cols.protocol = "Muster"
    local root = tree:add(muster, tvb())
    root:add(f.magic, tvb(0, 4))
    local function complain(at, why, what)
        at = math.max(0, math.min(at, tvb:len() - 1))
        local text = why .. " (byte " .. string.format("%.0f", at) .. ")"
        root:add(tvb(at, 1), "Here: " .. why):add_proto_expert_info(what or malformed, text)
        summary = summary .. " [" .. text .. "]"
        pinfo.cols.info = summary
        return tvb:len()
    end
    summary = "Muster"
    if tvb:len() < 6 then
        return complain(tvb:len(), "cut short: the header has 6 bytes")
    end
    local version, kind = tvb(4, 1):uint(), tvb(5, 1):uint()
    root:add(f.version, tvb(4, 1))
    root:add(f.kind, tvb(5, 1))
    summary = KINDS[kind] or "Kind " .. kind
    pinfo.cols.info = summary
    if version ~= 1 then return complain(4, "version " .. version .. " is not known here", unknown) end
    if not bodies[kind] then return complain(5, "kind " .. kind .. " is unknown", unknown) end
    if tvb:len() > 1232 then complain(1232, "longer than the 1,232 bytes that a datagram may have") end
    local next, where, why = bodies[kind](tvb, 6, tvb:len(), root)
    pinfo.cols.info = summary
    root:append_text(", " .. summary)
    if not next then return complain(where, why) end
    if next ~= tvb:len() then return complain(next, "trailing bytes") end
    if kind == 1 then
        next, where, why = one_of_two(tvb)
        if not next then return complain(where, why) end
    end
    return tvb:len()
end

DissectorTable.get("udp.port"):add(6878, muster)

-- Consoles ask from a port of their own. Answers come from port 6878, but recordings may have been forwarded or cut.
muster:register_heuristic("udp", function(tvb, pinfo, tree)
    if tvb:len() < 6 or tvb(0, 4):string() ~= "MUST" then return false end
    muster.dissector(tvb, pinfo, tree)
    pinfo.conversation = muster
    return true
end)
