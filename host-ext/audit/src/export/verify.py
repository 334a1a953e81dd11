#!/usr/bin/env python3
"""Verifies an incident exported from Sudare. Needs Python 3.8 and nothing else: no network, no package.

    python3 verify.py incident.zip --key log.vkey [--witness witness.vkey]

The key (one line, name+hexid+base64) must have reached you by another way than the zip: whoever changed one could have
changed the other. If you doubt this script as well, read it (it is short) or take it from Sudare's source.
Exit codes: 0 everything verifies, 1 something does not, 2 the check could not be done.

Formats: COSE_Sign1 (RFC 9052) on CBOR (RFC 8949), Ed25519 (RFC 8032), Merkle tree hashes and inclusion proofs
(RFC 6962, section 2.1), signed notes and checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint).
"""
import argparse
import base64
import hashlib
import json
import os
import re
import sys
import zipfile

FILES_MAX, BYTES_MAX = 1200, 256 * 1024 * 1024
NAMES = re.compile(r"README\.txt|index\.html|verify\.py|checkpoint|proof\.json|files\.sha256"
                   r"|entries/[0-9]{1,20}\.cose|sealed/[0-9a-f]{32}\.age|opened/[0-9]{1,2}-[a-z-]{1,40}\.(jpg|png|bin)")
KINDS = {1: "log-start", 2: "host-key-change", 3: "recorder-start", 4: "session-start", 5: "session-end",
         6: "client-message", 7: "cover", 8: "uncover", 9: "incident-open", 10: "pictures-stored",
         11: "incident-complete", 12: "presence-interval", 13: "gap", 14: "note", 40: "tombstone", 41: "approval",
         42: "view"}


class Refused(Exception):
    """The export is not what it claims to be."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# --- Ed25519 (RFC 8032, section 5.1), points as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z ---

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    result = NEUTRAL
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(key, message, signature):
    """Whether this is the key's signature. Keys and nonces of small order are refused: they would fit too much."""
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= ORDER:
        return False
    if same(multiply(8, a), NEUTRAL) or same(multiply(8, r), NEUTRAL):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return same(multiply(s, BASE), add(r, multiply(h, a)))


# --- CBOR: what Sudare writes, definite lengths only ---

def cbor(data, depth=0):
    """Reads one value; returns it and the bytes that follow."""
    if not data or depth > 16:
        raise Refused("CBOR ends early or is nested too deeply")
    major, info, rest = data[0] >> 5, data[0] & 31, data[1:]
    if info >= 24:
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(info)
        if width is None or len(rest) < width:
            raise Refused("CBOR in a form that Sudare does not write")
        info, rest = int.from_bytes(rest[:width], "big"), rest[width:]
    if major == 0:
        return info, rest
    if major == 1:
        return -1 - info, rest
    if major in (2, 3):
        if len(rest) < info:
            raise Refused("CBOR ends inside a string")
        return (rest[:info] if major == 2 else rest[:info].decode()), rest[info:]
    if major == 4:
        items = []
        for _ in range(min(info, len(rest) + 1)):
            item, rest = cbor(rest, depth + 1)
            items.append(item)
        return items, rest
    if major == 5:
        pairs = {}
        for _ in range(min(info, len(rest) + 1)):
            name, rest = cbor(rest, depth + 1)
            pairs[name], rest = cbor(rest, depth + 1)
        return pairs, rest
    if major == 6:
        return cbor(rest, depth + 1)
    return {20: False, 21: True, 22: None}.get(info), rest


def whole(data):
    value, rest = cbor(data)
    if rest:
        raise Refused("bytes after the end of a CBOR value")
    return value


def cbor_bytes(data):
    """A byte string in CBOR."""
    length = len(data)
    for limit, info, width in ((24, None, 0), (2**8, 24, 1), (2**16, 25, 2), (2**32, 26, 4)):
        if length < limit:
            head = bytes([0x40 + length]) if info is None else bytes([0x40 + info]) + length.to_bytes(width, "big")
            return head + data
    raise Refused("a byte string is too long")


# --- COSE_Sign1: 18([protected, {}, payload, signature]) ---

def cose(key, context, message):
    """Returns the payload after verifying that `key` signed the message for `context`."""
    parts = whole(message)
    if message[:1] != b"\xd2" or not isinstance(parts, list) or len(parts) != 4 or parts[1] != {}:
        raise Refused("it is not a COSE_Sign1 message")
    protected, _, payload, signature = parts
    # {1: -19 (Ed25519), 4: key id}: neither algorithm nor key is taken from the message.
    if protected != b"\xa2\x01\x32\x04\x48" + sha256(key)[:8]:
        raise Refused("it is signed by another key")
    signed = b"\x84\x6aSignature1" + cbor_bytes(protected) + cbor_bytes(context) + cbor_bytes(payload)
    if not signed_by(key, signed, signature):
        raise Refused("its signature is wrong")
    return payload


# --- The log ---

LOG, WITNESS = 1, 4


def vkey(line, kind=LOG):
    name, key_id, key = line.strip().split("+", 2)
    key = base64.b64decode(key, validate=True)
    right = sha256(name.encode(), b"\n", key)[:4].hex()
    if len(key) != 33 or key[0] != kind or key_id != right:
        raise ValueError("a key file does not hold a verifier key of the expected kind (name+hexid+base64)")
    return name, bytes.fromhex(key_id), key[1:]


def checkpoint(note, name, key_id, key):
    """Returns size and root after verifying the log's signature on the note."""
    text, separator, lines = note.decode().rpartition("\n\n")
    text += "\n"
    if not separator or not lines.endswith("\n"):
        raise Refused("the checkpoint is not a signed note")
    good = False
    for line in lines.splitlines():
        dash, signer, signature = line.split(" ", 2)
        signature = base64.b64decode(signature, validate=True)
        if dash != "\u2014":
            raise Refused("a signature line of the checkpoint is malformed")
        if signer == name and signature[:4] == key_id:
            if not signed_by(key, text.encode(), signature[4:]):
                raise Refused("the log's signature on the checkpoint is wrong")
            good = True
    if not good:
        raise Refused("this log did not sign the checkpoint")
    origin, size, root = text.split("\n")[:3]
    if origin != name:
        raise Refused("the checkpoint belongs to another log")
    return int(size), base64.b64decode(root, validate=True)


def cosigned(note, name, key_id, key):
    """Returns the Unix time at which a witness cosigned the note (c2sp.org/tlog-cosignature)."""
    text, _, lines = note.decode().rpartition("\n\n")
    for line in lines.splitlines():
        _, signer, signature = line.split(" ", 2)
        signature = base64.b64decode(signature, validate=True)
        if signer == name and signature[:4] == key_id and len(signature) == 76:
            time = int.from_bytes(signature[4:12], "big")
            if not signed_by(key, f"cosignature/v1\ntime {time}\n{text}\n".encode(), signature[12:]):
                raise Refused(f"the cosignature of {name} is wrong")
            return time
    raise Refused(f"{name} did not cosign the checkpoint")


def root_from(leaf, index, size, proof):
    """RFC 9162, section 2.1.3.2."""
    node, last, hashed = index, size - 1, leaf
    if not 0 <= index <= last:
        return None
    for sibling in proof:
        if last == 0:
            return None
        if node & 1 or node == last:
            hashed = sha256(b"\x01", sibling, hashed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            hashed = sha256(b"\x01", hashed, sibling)
        node, last = node >> 1, last >> 1
    return hashed if last == 0 else None


# --- The export ---

def read_zip(path):
    files = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > FILES_MAX or sum(member.file_size for member in members) > BYTES_MAX:
            raise Refused("it is larger than any export")
        for member in members:
            if not NAMES.fullmatch(member.filename) or member.filename in files:
                raise Refused(f"it holds {member.filename!r}, which no export has, or holds it twice")
            with archive.open(member) as stream:
                data = stream.read(member.file_size + 1)
            if len(data) != member.file_size:
                raise Refused(f"{member.filename} has another length than it says")
            files[member.filename] = data
    for name in ("README.txt", "index.html", "verify.py", "checkpoint", "proof.json", "files.sha256"):
        if name not in files:
            raise Refused(f"{name} is missing")
    return files


def check_list(files):
    listed = {}
    for line in files["files.sha256"].decode().splitlines():
        digest, name = line.split("  ", 1)
        listed[name] = digest
    if set(listed) != set(files) - {"files.sha256"}:
        raise Refused("the zip and files.sha256 list different files")
    for name, digest in listed.items():
        if sha256(files[name]).hex() != digest:
            raise Refused(f"{name} differs from its hash in files.sha256")


def check_entries(files, facts, key, size, root):
    """Each entry is signed, states its own index, and is included at that index under the checkpoint."""
    entries, named = {}, set()
    for item in facts["entries"]:
        index, name = item["index"], f"entries/{item['index']}.cose"
        leaf = files[name]
        proof = [bytes.fromhex(sibling) for sibling in item["proof"]]
        if len(proof) > 64 or root_from(sha256(b"\x00", leaf), index, size, proof) != root:
            raise Refused(f"{name} is not under the checkpoint")
        try:
            entry = whole(cose(key, b"sudare/v1 log entry", leaf))
        except Refused as why:
            raise Refused(f"{name}: {why}") from None
        if entry[0] != 1 or entry[1] != index:
            raise Refused(f"{name} states index {entry[1]} and version {entry[0]}")
        entries[index] = entry
        named.add(name)
    if named != {name for name in files if name.startswith("entries/")}:
        raise Refused("the zip and proof.json list different entries")
    return entries


def check_sessions(entries, log_key):
    """Handshakes are signed by host and device, and client messages by the device in that session."""
    host_key, sessions, messages = None, {}, 0
    for index, entry in sorted(entries.items()):
        kind, session, body = entry[7], entry.get(5), whole(entry[10])
        if kind == 1:
            if index != 0 or body[1] != log_key:
                raise Refused("the first entry starts another log")
            host_key = body[0]
        elif kind == 2:
            host_key = body[0]
        elif kind == 4:
            if host_key is None:
                raise Refused("the host key of a session is unknown: entry 0 is missing")
            hello, opened = body[0], body[1]
            said = whole(cose(host_key, b"sudare/v1 hello", hello))[2]
            answer = whole(cose(body[2], b"sudare/v1 open", opened))[2]
            if not said[2] == answer[3] == session or answer[5] != sha256(said[5]):
                raise Refused(f"entry {index}: the two halves of the handshake do not belong together")
            sized = b"".join(len(half).to_bytes(8, "big") + half for half in (hello, opened))
            sessions[session] = (body[2], sha256(b"sudare/v1 transcript", sized))
        elif kind == 6:
            if session not in sessions:
                raise Refused(f"entry {index}: a client message without its handshake")
            device, transcript = sessions[session]
            try:
                cose(device, transcript, body[0])
            except Refused as why:
                raise Refused(f"entry {index}, the client's message: {why}") from None
            messages += 1
    return len(sessions), messages


def check_pictures(files, facts, entries):
    """Sealed files have the hash in the log; opened ones match the commitment in the log."""
    incident, vouched = bytes.fromhex(facts["incident"]), {}
    for entry in entries.values():
        if entry.get(6) == incident:
            for blob in entry[9]:
                if vouched.setdefault(blob[0].hex(), blob) != blob:
                    raise Refused("two entries contradict each other about a picture")
    if not any(entry.get(6) == incident for entry in entries.values()):
        raise Refused("no entry belongs to this incident")
    if [picture["blob"] for picture in facts["pictures"]] != list(vouched):
        raise Refused("proof.json and the entries list different pictures")
    named, sealed, opened = set(), 0, 0
    for picture in facts["pictures"]:
        blob = vouched[picture["blob"]]
        if picture["sealed"] is not None:
            data = files[picture["sealed"]]
            if sha256(data) != blob[3] or len(data) != blob[4]:
                raise Refused(f"{picture['sealed']} is not the picture in the log")
            sealed += 1
        if picture["opened"] is not None:
            data = files[picture["opened"]]
            if sha256(data) != blob[5]:
                raise Refused(f"{picture['opened']} is not the picture that the log committed to")
            opened += 1
        named |= {picture["sealed"], picture["opened"]}
    if named - {None} != {name for name in files if name.startswith(("sealed/", "opened/"))}:
        raise Refused("the zip and proof.json list different pictures")
    check_page(files, facts)
    return sealed, opened


def check_page(files, facts):
    """The page shows the opened pictures and no others (without the 32 random bytes after each)."""
    shown = re.findall(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]*)", files["index.html"])
    pictures = {files[p["opened"]][:-32] for p in facts["pictures"] if p["opened"] is not None}
    if any(base64.b64decode(data, validate=True) not in pictures for data in shown):
        raise Refused("index.html shows a picture that is not among the opened ones")
    if re.search(rb"<script|<iframe|<object|<embed|<link|javascript:|https?://|\son[a-z]+=", files["index.html"], re.I):
        raise Refused("index.html contains something that could run or load")


def check(path, key_line, witness_line):
    name, key_id, key = vkey(key_line)
    files = read_zip(path)
    check_list(files)
    yield f"{len(files)} files match files.sha256"
    size, root = checkpoint(files["checkpoint"], name, key_id, key)
    yield f"the checkpoint of {name} with {size} entries is signed by the key you gave"
    if witness_line:
        witness, witness_id, witness_key = vkey(witness_line, WITNESS)
        time = cosigned(files["checkpoint"], witness, witness_id, witness_key)
        yield f"the witness {witness} cosigned that checkpoint at {time} (Unix time)"
    facts = json.loads(files["proof.json"])
    if facts["version"] != 1 or facts["origin"] != name or facts["size"] != size:
        raise Refused("proof.json belongs to another version, log or checkpoint")
    entries = check_entries(files, facts, key, size, root)
    yield f"{len(entries)} entries are signed and included in the log under that checkpoint"
    sessions, messages = check_sessions(entries, key)
    yield f"{sessions} handshakes and {messages} client messages are signed by host and device"
    sealed, opened = check_pictures(files, facts, entries)
    yield f"{sealed} sealed and {opened} opened pictures match the log"
    for index, entry in sorted(entries.items()):
        mine = "incident" if (entry.get(6) or b"").hex() == facts["incident"] else "        "
        yield f"  [{index}] {entry[2]} ms  {mine}  {KINDS.get(entry[7], entry[7])}  reason {entry.get(8)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip")
    parser.add_argument("--key", required=True, help="file with the log's public key, from elsewhere")
    parser.add_argument("--witness", help="file with a witness's public key: require its cosignature")
    arguments = parser.parse_args()
    try:
        lines = []
        for path in (arguments.key, arguments.witness):
            with open(path or os.devnull, encoding="ascii") as file:
                lines.append(file.read(512))
        for line in check(arguments.zip, *lines):
            print(line)
    except (Refused, zipfile.BadZipFile, LookupError, TypeError, ValueError, AttributeError) as why:
        print(f"REFUSED: {why}. Do not rely on this copy; ask for another one.")
        return 1
    except (OSError, NotImplementedError, RuntimeError) as why:
        print(f"the check could not be done: {why}")
        return 2
    print("Everything verifies. index.html is made from the same files: if its words matter, compare them with the above.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
