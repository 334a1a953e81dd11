#!/usr/bin/env python3
"""Verifies an incident exported from Sudare. Needs Python 3.8 and nothing else: no network, no package.

    python3 verify.py incident.zip --key log.vkey [--witness witness.vkey] [--page page.html]

It makes the page again from the evidence, and compares everything that is in the zip: what it cannot compare does not
verify. The folder with the unpacked files does as well, and so does a zip that was made again from it.

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
import time
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


# --- CBOR: the one form that Sudare writes (RFC 8949, section 4.2.1) ---

def cbor(data, depth=0):
    """Reads one value; returns it and the bytes that follow."""
    if not data or depth > 16:
        raise Refused("CBOR ends early or is nested too deeply")
    major, info, rest = data[0] >> 5, data[0] & 31, data[1:]
    if info >= 24:
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(info)
        if width is None or len(rest) < width or major == 7:
            raise Refused("CBOR in a form that Sudare does not write")
        info, rest = int.from_bytes(rest[:width], "big"), rest[width:]
        if info < {1: 24, 2: 2**8, 4: 2**16, 8: 2**32}[width]:
            raise Refused("CBOR with a number that is longer than it has to be")
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
        pairs, last = {}, None
        for _ in range(min(info, len(rest) + 1)):
            start = rest
            name, rest = cbor(rest, depth + 1)
            key = (3, name.encode()) if isinstance(name, str) else (start[0] >> 5, start[:len(start) - len(rest)])
            if last is not None and last >= key:
                raise Refused("CBOR with a key out of order, or twice")
            last = key
            pairs[name], rest = cbor(rest, depth + 1)
        return pairs, rest
    if major == 6:
        return cbor(rest, depth + 1)
    if info not in (20, 21, 22):
        raise Refused("CBOR in a form that Sudare does not write")
    return {20: False, 21: True, 22: None}[info], rest


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

# What file managers and systems leave beside files; it is named and not read.
LITTER = {name.lower() for name in (
    ".DS_Store", "__MACOSX", ".localized", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".TemporaryItems",
    ".fseventsd", "Icon\r", "Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$RECYCLE.BIN",
    "System Volume Information", "lost+found", ".directory", ".Trash-1000", "@eaDir", ".hidden")}


def is_litter(name):
    return any(part.lower() in LITTER or part.startswith("._") or part.endswith(":Zone.Identifier")
               or (part.startswith(".~lock.") and part.endswith("#")) for part in name.split("/"))


def members(path):
    """Names in a zip or a folder, with the size of each and a function that opens it."""
    if os.path.isdir(path):
        for folder, folders, names in os.walk(path):
            for name in folders + names:
                file = os.path.join(folder, name)
                listed = os.path.relpath(file, path).replace(os.sep, "/")
                if os.path.islink(file) or not (os.path.isfile(file) or os.path.isdir(file)):
                    if not is_litter(listed):
                        raise Refused(f"{listed!r} in it is not a file of an export")
                elif os.path.isfile(file):
                    yield listed, os.path.getsize(file), lambda file=file: open(file, "rb")
        return
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        yield member.filename.replace("\\", "/"), member.file_size, lambda member=member: archive.open(member)


def read_export(path):
    """The files of the export by name, and the names of what lies beside them."""
    found, extra = [], []
    for name, size, opener in members(path):
        if len(found) + len(extra) >= 4 * FILES_MAX:
            raise Refused("it is larger than any export")
        if is_litter(name):
            extra.append(name)
        elif not name.endswith("/"):
            found.append((name, size, opener))
    # A folder that is around all of them is taken off.
    around = found[0][0].split("/")[0] + "/" if found else ""
    if around not in ("entries/", "sealed/", "opened/", "/", "./", "../") \
            and all(name.startswith(around) for name, _, _ in found):
        found = [(name[len(around):], size, opener) for name, size, opener in found]
    if len(found) > FILES_MAX or sum(size for _, size, _ in found) > BYTES_MAX:
        raise Refused("it is larger than any export")
    files = {}
    for name, size, opener in found:
        if not NAMES.fullmatch(name) or name in files:
            raise Refused(f"it holds {name!r}, which no export has, or holds it twice")
        with opener() as stream:
            data = stream.read(size + 1)
        if len(data) != size:
            raise Refused(f"{name} has another length than it says")
        files[name] = data
    for name in ("README.txt", "index.html", "verify.py", "checkpoint", "proof.json", "files.sha256"):
        if name not in files:
            raise Refused(f"{name} is missing")
    return files, extra


def text_of(path):
    """A text file, whatever an editor did to its beginning and its line ends."""
    with open(path, "rb") as file:
        data = file.read(4096)
    for mark, form in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return data[len(mark):].decode(form).replace("\r\n", "\n")
    return data.decode().replace("\r\n", "\n")


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
    host_key, sessions, messages, manifest = None, {}, 0, None
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
            transcript = sha256(b"sudare/v1 transcript", sized)
            sessions[session] = {"device": body[2], "transcript": transcript, "hello": said, "open": answer,
                                 "subject": body.get(4)}
        elif kind == 6:
            if session not in sessions:
                raise Refused(f"entry {index}: a client message without its handshake")
            try:
                number, _, said = whole(cose(sessions[session]["device"], sessions[session]["transcript"], body[0]))
            except Refused as why:
                raise Refused(f"entry {index}, the client's message: {why}") from None
            if number == 0x16 and said[0] == entry.get(6):
                manifest = said
            messages += 1
    return sessions, messages, manifest


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
    return sealed, opened


# --- The page: made again from the evidence, so that every word of it is compared ---

MADE_BY = "sudare-audit 0.1.0"
STYLE_SHA256 = "WaGveCjCOHyhj4wY5p8jrxYe436jU4zB2eDCG0112KA="
README_SHA256 = "e7cf76b619264890dbc8d060f89899f65d5a342e9c26dcb6d1cceff6d936ea68"
# Number: stable name, Japanese, English.
REASONS = {
    0: ("none", "画面は表示されています。", "The desktop is visible."),
    1: ("starting", "操作者を確認しています。", "Waiting for the operator."),
    2: ("no-client", "このデスクトップの利用には Sudare が必要です。", "This desktop requires Sudare, but your client has not started it."),
    3: ("stranger", "別の人が画面の前にいます。", "Someone else is in front of the screen."),
    4: ("onlooker", "ほかの人が画面を見ています。", "Someone else is looking at the screen."),
    5: ("absent", "操作者が離席しています。", "The operator is away."),
    6: ("undecided", "画面の前の人を確認できません。", "It is unclear who is in front of the screen."),
    7: ("camera-blocked", "カメラが覆われているか、暗すぎます。", "The camera is covered, or the room is too dark."),
    8: ("camera-lost", "カメラの映像が途切れました。", "The camera has stopped sending pictures."),
    9: ("camera-busy", "カメラがほかのソフトで使用中です。", "Another program is using the camera."),
    10: ("spoof", "写真などの可能性があります。", "The face in view may be a photograph."),
    11: ("phone", "スマートフォンが画面に向けられています。", "A phone is pointed at the screen."),
    12: ("link-lost", "クライアントからの応答が途絶えました。", "The client stopped responding."),
    13: ("client-gone", "クライアント拡張が終了しました。", "The client extension has stopped."),
    14: ("bad-message", "クライアントから不正な通知を受け取りました。", "The client sent an invalid message."),
    15: ("clock-jump", "時刻の飛びを検出しました（スリープなど）。", "The clock jumped, for example because the machine slept."),
    16: ("stale-view", "カメラの映像が更新されていません。", "The camera picture is not being updated."),
    17: ("evidence-not-kept", "証跡を保存できません。", "Evidence cannot be stored."),
    18: ("cover-fault", "画面の保護を確認できません。", "The cover could not be confirmed."),
    19: ("client-asked", "クライアントの要求により保護しています。", "The client requested the cover."),
    20: ("break", "休憩中です（カメラは停止しています）。", "The operator is on a break; the camera is off."),
    21: ("device-refused", "この端末は利用を許可されていません。", "This device is not allowed to use this desktop."),
    22: ("other-user", "ご本人のデスクトップであることを確認できません。", "This desktop is not confirmed to be yours."),
    23: ("no-consent", "この端末で Sudare のお知らせに同意されていません。", "The notice about Sudare was not accepted on this device."),
    24: ("operator-asked", "ご自身の操作で画面を隠しています。", "You covered the desktop yourself."),
    25: ("observing", "試験運用中です。Sudare は監視と記録のみを行い、画面は隠しません。",
         "This is a pilot: Sudare observes and records, and does not cover your desktop."),
    26: ("rules-unclear", "適用される規則を確認できません。", "It cannot be determined which rules apply to you."),
    27: ("policy-changed", "Sudare の新しい規則が届きました。", "Your organisation has new rules for Sudare."),
}
# Number: what its value is, Japanese, English.
NOTES = {
    1: ("Unused", "端末の証跡を拒否（保存できない内容のため）", "Evidence from a client was refused because it can never be stored"),
    2: ("Reason", "操作者が「誤った遮蔽」と申告", "The operator reported a cover as wrong"),
    3: ("Unused", "端末の証跡が1日の保存上限に到達", "A device used up its daily quota of evidence"),
    4: ("Refusal", "端末の接続を拒否（セッションは開始されず）", "A device was refused, and no session began"),
    16: ("Unused", "遮蔽の上に描画し得るコンポジタを終了", "A compositor was ended because it would have drawn over the cover"),
    17: ("Unused", "遮蔽と同じ最前面の層に置かれたウィンドウを除去", "A window in the cover's own layer was removed together with its client"),
    18: ("Unused", "遮蔽のウィンドウが非表示化または破棄されたため復元", "A window of the cover was unmapped or destroyed, and was restored"),
    19: ("Unused", "アプリケーションがキーボードまたはポインタを占有（そのウィンドウを一時的に非表示）", "An application held the keyboard or pointer against the cover; its windows were hidden for a moment"),
    20: ("Unused", "停止した遮蔽プロセスのウィンドウを新しい遮蔽プロセスが引き継ぎ", "A new blanker took over the windows of one that had died"),
    21: ("Unused", "最初の遮蔽より前に画面上のウィンドウを検出", "Windows were on the screen before the first cover"),
    32: ("OwnerRule", "デスクトップの利用者を確認した方法", "What told whose desktop it is"),
    33: ("Unused", "操作者とは別の利用者のデスクトップへの接続（遮蔽を継続）", "The connection led to the desktop of another user than the operator, and stayed covered"),
    34: ("Missing", "事案の画面画像を取得できず", "A screenshot of an incident could not be taken"),
    35: ("Rules", "この利用者に適用される方針", "Which rules of the policy apply to this user"),
    36: ("Reason", "試験運用のため遮蔽せず記録のみ", "Seen, and not covered, because the policy only observes"),
}
MISSING = {
    1: ("復号しない方式で描画された画面", "the host draws in a way that is not decoded"),
    2: ("1枚の画像としては多過ぎる描画データ", "the host drew more than is kept of one picture"),
    3: ("ホストが時間内に画面全体を再描画しなかったため", "the host did not draw the whole screen again in time"),
    4: ("画面の構成が途中で変わったため、または画面が表示されていなかったため",
        "the screen changed meanwhile, or the desktop was not shown"),
    5: ("描画データを復号できなかったため", "what the host drew could not be decoded"),
    6: ("復号プログラムを起動できなかったか、時間内に終わらなかったため",
        "the program that decodes could not be started, or did not end in time"),
}
OWNER = {
    1: ("OS カーネル（接続先の X サーバーの実行者）", "the kernel, by who runs the X server"),
    2: ("ログオン時に検証した資格情報", "the credentials that were verified at log-on"),
    3: ("方針（クライアントの申告を信頼）", "the policy, which trusts what the client says"),
}
REFUSAL = {9: ("未登録の端末", "it is not enrolled"), 10: ("失効した端末", "it was revoked"),
           11: ("別の利用者の端末", "it is enrolled for another user")}
LIVENESS = {
    0: ("顔が画面の光に追従", "the face followed the light of the screen as a living one does"),
    1: ("指示どおりに顔を回転", "the head was turned as the cover asked"),
    2: ("画面の光を測定できず", "the light of the screen could not be measured"),
    3: ("端末が確認に非対応、または応答なし", "the client cannot take part in the check"),
    4: ("平面のように追従（写真の疑い）", "what followed the light is flat, as a picture is"),
    5: ("顔が画面の光に追従せず", "the face did not follow the light of the screen"),
    6: ("指示どおりに顔を回転せず", "the head was not turned as the cover asked"),
    7: ("応答が時間内になし", "the answer came too late or not at all"),
}
LABELS = {
    0: ("判定前", "before the decision"), 1: ("判定時", "at the decision"), 2: ("判定後", "after the decision"),
    3: ("疑いの発生時の画面", "screen at the first suspicion"),
    4: ("遮蔽直前の画面", "screen right before the cover"),
    5: ("判定前（周囲の人の顔はモザイク処理）", "before the decision, bystanders pixelated"),
    6: ("判定時（周囲の人の顔はモザイク処理）", "at the decision, bystanders pixelated"),
    7: ("判定後（周囲の人の顔はモザイク処理）", "after the decision, bystanders pixelated"),
}
MESSAGES = {0x14: ("遮蔽を要求", "cover the screen"), 0x15: ("遮蔽の解除を通知", "the reason for the cover is over"),
            0x13: ("疑いの通知", "someone else may be looking"),
            0x16: ("画像一覧の通知", "list of the incident's pictures"), 0x12: ("状況の証明", "attestation"),
            0x17: ("終了の通知", "goodbye"), 0x21: ("異常の通知", "error")}
PLAIN = {
    1: ("ログの開始（ホストの鍵とログの鍵）", "The log begins, with the keys of host and log"),
    2: ("ホストの鍵の変更", "The host changed its key"), 3: ("記録サービスの再開", "The recorder was restarted"),
    4: ("接続の確立（双方の署名を記録）", "Session established, signed by host and device"),
    5: ("セッションの終了", "The session ended"), 8: ("画面を再表示", "The desktop is shown again"),
    41: ("消去の承認（署名付き）", "A signed approval to erase pictures"),
}
STATES = ("clear", "undecided", "onlooker", "stranger", "absent", "camera-blocked", "camera-lost", "spoof", "phone")
PROBLEMS = {
    "not-chosen": ("周囲の人が識別できる画像のため、既定では出力しません",
                   "Bystanders can be recognised on it: exported on request only"),
    "not-in-store": ("保存先にありません（期限による消去など）", "Not in the store: erased or removed"),
    "custodian": ("保管者の封印のもとにあります", "Under the custodian's seal, which was not taken off"),
    "not-opened": ("出力者の鍵では開けませんでした", "The exporter's key did not open it"),
    None: ("封印されたまま", "Sealed, not opened"),
}
PROVES = (
    ("これらの記録が、この順序でログに存在し、ログの鍵で署名されたこと。",
     "These entries are in the log, in this order, and were signed by the log's key."),
    ("端末の通知が、ホストの受け入れた端末の鍵により、この接続の中で署名されたこと。",
     "The device's messages were signed within this connection, by the key of the device that the host had accepted."),
    ("表示した画像が、記録の時点で封印された画像そのものであること。",
     "Each opened picture is, bit for bit, the one that was sealed when the entry was recorded."),
    ("証人の副署がある場合、その時刻にはこの記録が既に存在したこと。",
     "If a witness cosigned: that all of this existed at the time of the cosignature."),
)
DOES_NOT = (
    ("画像に写っている人が誰であるか。Sudare は本人以外を識別しません。",
     "Who is seen in a picture. Sudare identifies nobody but the operator."),
    ("カメラが実際に見たもの。証明されるのは端末の鍵であり、カメラではありません。",
     "What a camera saw: a key is proven, not a camera. Whoever controls the private PC can sign pictures that no camera "
     "took."),
    ("実時刻。時計はホストと端末のものです（副署・時刻証明がある場合を除く）。",
     "The time of day: the clocks are the host's and the device's, unless a cosignature or a time-stamp token confirms "
     "it."),
    ("ほかに何も起きていないこと。この出力は一件分であり、記録の欠落は示せません。",
     "That nothing else happened. This is one incident; it cannot show what a host never recorded."),
    ("表示された人が画面の内容を読んだこと。", "That the person in the picture read what was on the screen."),
)
NOT_RECORDED, NOT_KNOWN = ("記録なし", "not recorded"), ("不明", "unknown")


def utc(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))


def is_hidden(c):
    """Characters that do something instead of being seen."""
    n = ord(c)
    return (n < 0x20 or 0x7f <= n < 0xa0 or n in (0xad, 0x61c, 0x180e, 0xfeff) or 0x200b <= n <= 0x200f
            or 0x2028 <= n <= 0x202e or 0x2060 <= n <= 0x206f or 0xfff9 <= n <= 0xfffb or 0xe0000 <= n <= 0xe0fff)


def escape(text):
    for plain, spelt in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(plain, spelt)
    return "".join("\ufffd" if is_hidden(c) and c != "\n" else c for c in text)


def took(ms):
    return f"{ms} ms" if ms else "< 1 ms"


def both(text):
    return text, text


def reason_words(number):
    return REASONS[number][1:] if number in REASONS else ("理由は記録されていません。", "No reason was recorded.")


def note_words(code, value):
    if code not in NOTES:
        return (f"この版では意味を判別できない注記（番号 {code}、値 {value}）",
                f"A note that this version cannot interpret (number {code}, value {value})")
    what, ja, en = NOTES[code]
    unknown = {"Reason": ("この版では不明な理由（番号 %d）", "a reason that this version does not know (number %d)"),
               "OwnerRule": ("この版では不明な方法（番号 %d）", "a way that this version does not know (number %d)"),
               "Missing": ("この版では不明な理由（番号 %d）", "a reason that this version does not know (number %d)"),
               "Refusal": ("エラー %d", "error %d")}
    if what == "Unused":
        return (ja, en) if value == 0 else (f"{ja}（値 {value}）", f"{en} (value {value})")
    if what == "Rules":
        more_ja, more_en = rules_words(value)
        return f"{ja}：{more_ja}", f"{en}: {more_en}"
    table = {"Reason": {n: words[1:] for n, words in REASONS.items()}, "OwnerRule": OWNER, "Missing": MISSING,
             "Refusal": REFUSAL}[what]
    more_ja, more_en = table.get(value) or (unknown[what][0] % value, unknown[what][1] % value)
    return f"{ja}：{more_ja}", f"{en}: {more_en}"


def rules_words(value):
    """Group and mode of note 35."""
    group = value >> 2
    ja = f"グループ {group} の設定" if group else "全員向けの設定"
    en = f"those of its group {group}" if group else "those for everybody"
    if value & 1:
        ja, en = ja + "、顔の照合なし（在席のみ）", en + ", without comparing faces (presence only)"
    if value & 2:
        ja, en = ja + "、試験運用（遮蔽なし）", en + ", as a pilot that covers nothing"
    return ja, en


def entry_words(entry):
    """What an entry says, in Japanese and English."""
    kind, body, blobs = entry[7], whole(entry[10]), entry[9]
    ja, en = reason_words(entry.get(8))
    if kind in PLAIN:
        return PLAIN[kind]
    if kind == 6:
        number = whole(whole(body[0])[2])[0]
        ja, en = MESSAGES.get(number, ("その他", "other"))
        return f"端末からの署名付き通知：{ja}", f"Signed message from the device: {en}"
    if kind == 7:
        span = took(max(body[1] - body[0], 0))
        seen = ("遮蔽を確認", "confirmed") if body[2] else ("未確認", "not confirmed")
        return f"画面を遮蔽（{span}、{seen[0]}）：{ja}", f"Screen covered in {span}, {seen[1]}: {en}"
    if kind == 9:
        return f"インシデントと判定：{ja}", f"Incident declared: {en}"
    if kind == 10:
        return f"画像を保存（{len(blobs)} 枚）", f"Pictures stored: {len(blobs)}"
    if kind == 11:
        return (f"インシデントの記録を完結（{len(blobs)} 枚）",
                f"Record of the incident completed, pictures: {len(blobs)}")
    if kind == 12:
        state = STATES[body[2]] if body[2] < len(STATES) else "unknown"
        return f"端末の証明 {body[3]} 件：{state}", f"{body[3]} attestations by the device: {state}"
    if kind == 13:
        ms = max(body[1] - body[0], 0)
        return f"記録のない時間 {ms} ms：{ja}", f"Nothing was recorded for {ms} ms: {en}"
    if kind == 14:
        return note_words(body[0], body[1])
    if kind == 15:
        ja, en = LIVENESS.get(body[1], ("この版では不明な結果", "a result that this version does not know"))
        if body[2]:
            return f"生体確認（再表示の根拠）：{ja}", f"Check of liveness, on which the desktop is shown: {en}"
        return f"生体確認（遮蔽を継続）：{ja}", f"Check of liveness, after which it stays covered: {en}"
    if kind == 40:
        count = len(body[0])
        if body[1] == 0:
            return (f"保存期間の満了により画像 {count} 枚を消去",
                    f"{count} pictures erased at the end of their retention period")
        return f"承認により画像 {count} 枚を消去", f"{count} pictures erased with two approvals"
    if kind == 42:
        picture, viewer = body[1].hex()[:8], body[2].hex()
        return (f"画像 {picture} の閲覧（閲覧者の鍵 {viewer}、目的番号 {body[0]}）",
                f"Picture {picture} was opened with key {viewer} for purpose number {body[0]}")
    return "この版では読めない記録", "an entry that this version cannot read"


def incident_of(entries, incident_id):
    """What the entries of the incident say together."""
    own = [entry for _, entry in sorted(entries.items()) if entry.get(6) == incident_id]
    found = {"first": own[0], "number": None, "name": "unknown", "cover": None, "complete": False, "missing": None}
    for entry in own:
        number = entry.get(8)
        if number is not None and found["number"] in (None, 0):
            found["number"] = number if number in REASONS else None
            found["name"] = REASONS[number][0] if number in REASONS else str(number)
        body = whole(entry[10])
        if entry[7] == 7 and found["cover"] is None:
            found["cover"] = max(body[1] - body[0], 0)
        if entry[7] == 11:
            found["missing"], found["complete"] = body[0], body[0] == 0
    return found


def record(signed):
    return whole(whole(signed)[2])


def facts_of(facts, incident, session, manifest, root, note):
    """Name and value of each fact, both in both languages."""
    code = incident["name"] + (f" ({incident['number']})" if incident["number"] is not None else "")
    yield ("インシデント番号", "Incident"), both(facts["incident"])
    yield ("発生時刻（ホストの時計、UTC）", "Time, by the host's clock (UTC)"), both(utc(incident["first"][2]))
    yield ("理由コード", "Reason code"), both(code)
    yield (("ホストの判定から遮蔽まで", "From the host's decision to the cover"),
           NOT_RECORDED if incident["cover"] is None else both(took(incident["cover"])))
    size, others = facts["size"], sum(line.startswith("\u2014") for line in note.splitlines()) - 1
    yield ("ログ", "Log"), both(facts["origin"])
    yield ("チェックポイント", "Checkpoint"), (f"{size} 件", f"{size} entries")
    yield ("ルートハッシュ", "Root hash"), both(root.hex())
    yield ("証人の副署", "Witness cosignatures"), ("なし", "none in this copy") if others < 1 else (
        f"{others}（--witness で検証）",
        f"{others} (to verify them, give `verify` or `verify-export` a --witness)")
    if session is None:
        yield ("セッション", "Session"), NOT_RECORDED
    else:
        hello, opened = session["hello"], session["open"]
        yield ("セッション", "Session"), both(hello[2].hex())
        yield ("端末（鍵から導出した番号）", "Device (id derived from its key)"), both(opened[2].hex())
        subject = session["subject"]
        yield ("利用者（無作為な番号）", "User (random id)"), NOT_RECORDED if subject is None else both(subject.hex())
        yield ("ホスト", "Host"), both(record(hello[4])[0])
        policy = record(hello[5])
        yield ("適用ポリシー", "Policy"), (f"{policy[0]}、第 {policy[1]} 号", f"{policy[0]}, serial number {policy[1]}")
        yield ("クライアント", "Client software"), both(opened[8])
        yield (("接続時の時計（ホスト・端末）", "Clocks at the handshake: host, device"),
               both(f"{utc(hello[7])} · {utc(opened[10])}"))
    opened = session["open"] if session else {}
    basis = (manifest or {}).get(7)
    key = basis[10] if basis and 10 in basis else opened.get(11)
    yield ("保証区分：端末の鍵", "Assurance: device key"), {
        0: ("ファイル", "file"), 1: ("端末の鍵ストア", "platform key store")}.get(key, NOT_KNOWN)
    yield ("保証区分：カメラ", "Assurance: camera"), {
        0: ("ハードウェア", "hardware"), 1: ("仮想カメラ", "virtual camera"), 2: ("画像ストリーム", "stream"),
        3: ("録画ファイル", "video file")}.get((basis or {}).get(9), NOT_KNOWN)
    yield ("保証区分：接続先の証明書", "Assurance: server certificate"), {
        0: ("照合できず", "could not be compared"),
        1: ("一致を確認", "matches the host's")}.get(basis[11] if basis else opened.get(7), NOT_KNOWN)
    if basis:
        yield ("保証区分：スマートフォン", "Assurance: phones"), {
            True: ("検知あり", "looked for; one was in view"), False: ("検知なし（監視中）", "looked for; none was in view"),
            None: ("監視していない", "not looked for")}[basis.get(12)]
        yield ("保証区分：生きている顔か", "Assurance: a living face"), {
            0: ("確認していない", "not looked at"),
            1: ("受動的な手掛かり（否定のみ可能）", "passive cues, which can only deny it")}.get(basis.get(13), NOT_KNOWN)

        def milli(value):
            return f"{'-' if value < 0 else ''}{abs(value) // 1000}.{abs(value) % 1000:03}"
        cosine = milli(manifest[6]) if manifest.get(6) is not None else "–"
        operator, stranger = milli(basis[0]), milli(basis[2])
        yield ("判定値：登録した顔との類似度", "Decision: similarity to the operator"), (
            f"{cosine}（本人 ≥ {operator}、他人 < {stranger}）",
            f"{cosine} (operator ≥ {operator}, stranger < {stranger})")
        yield ("判定値：露出量（加重）／許容値", "Decision: exposure / hold"), both(f"{basis[3]} ms / {basis[6]} ms")


def heading(ja, en):
    return f'<h2>{ja} <span lang="en">{en}</span></h2>\n'


def verdict_part(facts, incident):
    count, opened = len(facts["entries"]), sum(p["opened"] is not None for p in facts["pictures"])
    text = (f'<div class="verdict good"><div><strong>記録 {count} 件と画像 {opened} 枚は、ログの署名と一致しています。</strong>'
            f'<span lang="en">{count} entries and {opened} opened pictures match what the log\'s key signed.</span>'
            "</div></div>\n")
    audit = facts["audit"]
    if not audit["ok"]:
        kind, findings = "warn" if audit["integrity"] else "bad", escape(", ".join(audit["findings"]))
        text += (f'<div class="verdict {kind}"><div><strong>出力時のログ全体の監査で指摘がありました：{findings}</strong>'
                 f'<span lang="en">The exporter\'s audit of the whole log had findings: {findings}.</span></div></div>\n')
    if not incident["complete"]:
        missing = incident["missing"] or 0
        text += (f'<div class="verdict warn"><div><strong>このインシデントは完結していません（届かなかった画像 {missing} 枚）。'
                 f'</strong><span lang="en">The incident is not complete: {missing} announced pictures never arrived, or '
                 "it was still going on.</span></div></div>\n")
    return text


def figure(files, blob, fact):
    ja, en = LABELS.get(blob[1], ("種類不明の画像", "picture of a kind that this version does not know"))
    media = {0: "image/jpeg", 1: "image/png", 2: "application/x-sudare-salt"}.get(blob[2])
    if fact["opened"] is not None and media is not None:
        data = base64.b64encode(files[fact["opened"]][:-32]).decode()
        picture = f'<img src="data:{media};base64,{data}" alt="{ja} / {en}">'
    else:
        why_ja, why_en = PROBLEMS[fact["problem"]]
        picture = f'<div class="none"><span>{why_ja}<br><span lang="en">{why_en}</span></span></div>'
    if fact["sealed"] is None:
        mark, state = "mark no", "– この出力に含まれません / not part of this export"
    elif fact["opened"] is None:
        mark, state = "mark", "✓ 暗号文はログの記録と一致 / the sealed file matches the log"
    else:
        mark, state = "mark", ("✓ ログの記録と一致（暗号文・原画像） / sealed and opened pictures match the log")
    return (f'<figure>{picture}<figcaption><b>{ja} <span class="soft" lang="en">{en}</span></b>'
            f'<span class="{mark}">{state}</span><br><span class="soft mono">{blob[0].hex()[:12]} · {blob[4]} B</span>'
            "</figcaption></figure>\n")


def pictures_part(files, pictures):
    text = heading("画像", "Pictures")
    if not pictures:
        return text + '<div class="empty">画像はありません / There are no pictures</div>\n'
    text += ('<div class="pair column"><div>カメラ / <span lang="en">Camera</span></div>'
             '<div>表示されていた画面 / <span lang="en">What the screen showed</span></div></div>\n')
    none = '<div class="empty">記録なし / not recorded</div>'
    for camera, screen in (((6, 1), 4), ((5, 0), 3), ((7, 2), None)):
        versions = [pair for label in camera for pair in pictures if pair[0][1] == label]
        opened = [pair for pair in versions if pair[1]["opened"] is not None]
        left = "".join(figure(files, *pair) for pair in opened or versions[:1])
        right = "".join(figure(files, *pair) for pair in pictures if pair[0][1] == screen)
        if left or right:
            right = right if screen is None else right or none
            text += f'<div class="pair"><div>{left or none}</div><div>{right}</div></div>\n'
    others = "".join(figure(files, *pair) for pair in pictures if pair[0][1] not in LABELS)
    return text + (f'<div class="pair">{others}</div>\n' if others else "")


def timeline_part(entries, incident_id):
    ordered = [entry for _, entry in sorted(entries.items())]
    zero = next((entry for entry in ordered if entry.get(6) == incident_id and entry[7] == 9), None)

    def happened(entry):
        at = {7: 1, 8: 0, 9: 0, 15: 0, 5: 0}.get(entry[7])
        return entry[3] if at is None else whole(entry[10])[at]
    rows = ""
    for entry in ordered:
        when = utc(entry[2])
        if zero is not None and zero[4] == entry[4]:
            ms = happened(entry) - happened(zero)
            if abs(ms) < 3_600_000:
                when = f"T {'+' if ms >= 0 else '−'}{abs(ms) // 1000}.{abs(ms) % 1000:03} s"
        ja, en = entry_words(entry)
        mine = ' class="mine"' if entry.get(6) == incident_id else ""
        rows += (f'<tr{mine}><td>{when}</td><td>{escape(ja)}<br><small lang="en">{escape(en)}</small></td>'
                 f'<td class="mono">{entry[1]}</td><td class="mark">✓</td></tr>\n')
    return (f'{heading("経過", "Timeline")}<table>\n<thead><tr><th>時刻 / Time</th><th>出来事 / What happened</th>'
            f"<th>記録 / Entry</th><th>検証 / Check</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n"
            '<p class="soft">秒は判定（T）からの差。色の付いた行がこのインシデントの記録です。 / '
            '<span lang="en">Seconds count from the decision (T). Entries of the incident itself are tinted.</span></p>\n')


def proves_part(origin):
    def lines(ja, en, all_lines):
        items = "".join(f'<li>{one}<span lang="en">{other}</span></li>\n' for one, other in all_lines)
        return f'<section><h3>{ja} / <span lang="en">{en}</span></h3><ul>\n{items}</ul></section>\n'
    key = escape(origin)
    return (f'{heading("証明できること・できないこと", "What this proves, and what it does not")}<div class="two">'
            f'{lines("証明できること", "It proves", PROVES)}{lines("証明できないこと", "It does not prove", DOES_NOT)}</div>\n'
            f'{heading("検証の方法", "How to verify it")}<p>鍵 <code>log.vkey</code>（{key}）は、このファイルとは別の経路で入手してください。 / '
            f'<span lang="en">Obtain the key of <code>{key}</code> by another way than this file.</span></p>\n'
            "<pre>python3 verify.py incident.zip --key log.vkey          # Python 3.8+, no package, offline\n"
            "sudare-audit verify-export incident.zip --key log.vkey  # also makes this page again: --page FILE</pre>\n")


def page_of(files, facts, entries, sessions, manifest, root):
    """The page that belongs to this evidence. Its style is taken from the zip, if it is the one known here."""
    style = files["index.html"].decode().partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(sha256(style.encode())).decode()
    if digest != STYLE_SHA256:
        raise Refused("the style of index.html is not the one that exports have")
    incident_id = bytes.fromhex(facts["incident"])
    incident, vouched = incident_of(entries, incident_id), {}
    for _, entry in sorted(entries.items()):
        if entry.get(6) == incident_id:
            for blob in entry[9]:
                vouched.setdefault(blob[0], blob)
    session = sessions.get(incident["first"].get(5))
    note = files["checkpoint"].decode()
    rows = "".join(
        f'<div><dt>{name[0]} / <span lang="en">{name[1]}</span></dt>'
        f'<dd>{escape(value[0] if value[0] == value[1] else " / ".join(value))}</dd></div>\n'
        for name, value in facts_of(facts, incident, session, manifest, root, note))
    ja, en = reason_words(incident["number"])
    return (
        '<!doctype html>\n<html lang="ja">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
        f"style-src 'sha256-{STYLE_SHA256}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>Sudare {facts['incident'][:8]}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        '<p class="kicker">Sudare · インシデント報告 / Incident report</p>\n'
        f'<h1>{escape(ja)}</h1>\n<p lang="en">{escape(en)}</p>\n'
        f'{verdict_part(facts, incident)}{heading("概要", "Summary")}<dl class="facts">\n{rows}</dl>\n'
        f"{pictures_part(files, list(zip(vouched.values(), facts['pictures'])))}"
        f"{timeline_part(entries, incident_id)}{proves_part(facts['origin'])}"
        f"<footer>{escape(facts['made_by'])}, {utc(facts['made_ms'])}. "
        "生成時刻は出力者の時計 / Time by the exporter's clock.</footer>\n</main>\n</body>\n</html>\n")


FINDING = re.compile(r"[a-z]+(-[a-z]+)*( \[(0|[1-9][0-9]{0,19})\])?")


def check_made(files, facts):
    """What an export holds beside the evidence, and what nothing signs in proof.json."""
    if facts["made_by"] != MADE_BY:
        raise Refused(f"{facts['made_by']!r} made the page, which this script of {MADE_BY} cannot compare: use the "
                      "verify.py of that version")
    with open(__file__, "rb") as file:
        if files["verify.py"] != file.read():
            raise Refused("verify.py in it is not this script")
    if sha256(files["README.txt"]).hex() != README_SHA256:
        raise Refused("README.txt is not the one that exports have")
    words = [picture["problem"] for picture in facts["pictures"]]
    if not all(FINDING.fullmatch(finding) for finding in facts["audit"]["findings"]) or set(words) - set(PROBLEMS):
        raise Refused("proof.json has words that no export has")


def check(path, key_line, witness_line, page_file):
    name, key_id, key = vkey(key_line)
    files, extra = read_export(path)
    check_list(files)
    yield f"{len(files)} files match files.sha256"
    if extra:
        yield f"{len(extra)} files beside them were not read, and are not to be relied on: {', '.join(sorted(extra)[:10])}"
    size, root = checkpoint(files["checkpoint"], name, key_id, key)
    yield f"the checkpoint of {name} with {size} entries is signed by the key you gave"
    if witness_line:
        witness, witness_id, witness_key = vkey(witness_line, WITNESS)
        seen = cosigned(files["checkpoint"], witness, witness_id, witness_key)
        yield f"the witness {witness} cosigned that checkpoint at {utc(seen * 1000)}"
    facts = json.loads(files["proof.json"])
    if facts["version"] != 1 or facts["origin"] != name or facts["size"] != size:
        raise Refused("proof.json belongs to another version, log or checkpoint")
    entries = check_entries(files, facts, key, size, root)
    yield f"{len(entries)} entries are signed and included in the log under that checkpoint"
    sessions, messages, manifest = check_sessions(entries, key)
    yield f"{len(sessions)} handshakes and {messages} client messages are signed by host and device"
    sealed, opened = check_pictures(files, facts, entries)
    yield f"{sealed} sealed and {opened} opened pictures match the log"
    for index, entry in sorted(entries.items()):
        mine = "incident" if (entry.get(6) or b"").hex() == facts["incident"] else "        "
        yield f"  [{index}] {utc(entry[2])}  {mine}  {KINDS.get(entry[7], entry[7])}  reason {entry.get(8)}"
    check_made(files, facts)
    yield "README.txt and verify.py are those of this script's version"
    page = page_of(files, facts, entries, sessions, manifest, root)
    if page_file:
        with open(page_file, "x", encoding="utf-8", newline="\n") as file:
            file.write(page)
    if files["index.html"] != page.encode():
        raise Refused("index.html does not show what the evidence says; --page FILE writes the page that does")
    yield "index.html shows exactly what was verified"


def say(text):
    """One line in which every character is seen: whoever wrote it must not command the terminal."""
    print("".join(" " if c in "\t\r\n" else "\ufffd" if is_hidden(c) else c for c in text), flush=True)


def run(arguments):
    try:
        lines = [text_of(path) if path else "" for path in (arguments.key, arguments.witness)]
        for line in check(arguments.zip, *lines, arguments.page):
            say(line)
    except (Refused, zipfile.BadZipFile, LookupError, TypeError, ValueError, ArithmeticError,
            AttributeError) as why:
        say(f"REFUSED: {why}. Do not rely on this copy; ask for another one.")
        return 1
    except (NotImplementedError, RuntimeError) as why:
        say(f"the check could not be done: {why}")
        return 2
    say("Everything verifies.")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip", help="the zip, or the folder with its files")
    parser.add_argument("--key", required=True, help="file with the log's public key, from elsewhere")
    parser.add_argument("--witness", help="file with a witness's public key: require its cosignature")
    parser.add_argument("--page", help="write the page that belongs to the evidence to this new file")
    try:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        return run(parser.parse_args())
    except BrokenPipeError:
        # The reader has seen enough; nothing is left to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as why:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            print(f"the check could not be done: {why}", file=sys.stderr)
        except OSError:
            pass
        return 2


if __name__ == "__main__":
    sys.exit(main())
