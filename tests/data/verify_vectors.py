"""Checks the vector files with implementations that share no line with ours.

usage: python verify_vectors.py FOLDER

cwt verifies every COSE_Sign1 (and must refuse what was changed), cbor2 encodes the readable form
of each payload again, cryptography opens the sealed template and verifies the checkpoint.
"""

import base64
import hashlib
import json
import pathlib
import sys

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cwt import COSE, COSEKey

ED25519 = -19  # RFC 9864
FOLDER = pathlib.Path(sys.argv[1])


def read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def from_notation(value):
    """The CBOR data that a readable form stands for: see tests/all/wire/notation.rs."""
    if isinstance(value, str) and value.startswith("h'"):
        return bytes.fromhex(value[2:-1])
    if isinstance(value, list):
        return [from_notation(item) for item in value]
    if isinstance(value, dict):
        key = lambda text: text[1:-1] if text.startswith("'") else int(text)
        # Integer keys ascend; JSON sorted them as text.
        pairs = [(key(name), from_notation(item)) for name, item in value.items()]
        return dict(sorted(pairs))
    return value


def check(holds, what):
    if not holds:
        sys.exit(f"verify_vectors: {what}")


def check_keys(keys):
    for key in keys.values():
        public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["secret"])).public_key().public_bytes_raw()
        check(public.hex() == key["public"], f"public key of {key['name']}")
        check(hashlib.sha256(public).hexdigest()[:16] == key["key_id"], f"key id of {key['name']}")
        device_id = hashlib.sha256(b"sudare device id" + public).hexdigest()[:32]
        check(device_id == key["device_id"], f"device id of {key['name']}")
        check(base64.b64decode(key["public_line"].split()[1]) == public, f"public line of {key['name']}")
        check(base64.b64decode(key["secret_line"].split()[1]).hex() == key["secret"], "secret line")


def is_refused(message, key, external_aad):
    try:
        COSE.new().decode(message, key, external_aad=external_aad)
    except Exception:
        return True
    return False


def check_signed(vector, keys):
    name = vector["name"]
    public = lambda signer: COSEKey.new(
        {1: 1, 2: bytes.fromhex(keys[signer]["key_id"]), 3: ED25519, -1: 6, -2: bytes.fromhex(keys[signer]["public"])}
    )
    message, aad = bytes.fromhex(vector["cose"]), bytes.fromhex(vector["external_aad"])
    payload = bytes.fromhex(vector["payload"])
    key = public(vector["signer"])
    check(COSE.new().decode(message, key, external_aad=aad) == payload, f"payload of {name}")
    check(cbor2.dumps(from_notation(vector["item"])) == payload, f"encoding of {name}")
    check(is_refused(message, key, aad + b"x"), f"{name} passes with another external_aad")
    others = [signer for signer in keys if signer != vector["signer"]]
    check(all(is_refused(message, public(other), aad) for other in others), f"{name} passes with another key")
    changed = bytearray(message)
    changed[len(message) // 2] ^= 1
    check(is_refused(bytes(changed), key, aad), f"{name} passes although it was changed")


def check_transcript(vector):
    digest = hashlib.sha256(b"sudare/v1 transcript")
    for part in (bytes.fromhex(vector["hello"]), bytes.fromhex(vector["open"])):
        digest.update(len(part).to_bytes(8, "big") + part)
    check(digest.hexdigest() == vector["transcript"], "transcript")


def check_template(vector):
    sealed, transcript = bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["transcript"])
    client = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["client_secret"]))
    client_public = client.public_key().public_bytes_raw()
    check(client_public.hex() == vector["client_public"], "public half of the connection's key")
    shared = client.exchange(X25519PublicKey.from_public_bytes(sealed[:32]))
    info = b"sudare/v1 template" + sealed[:32] + client_public
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=transcript, info=info).derive(shared)
    plain = ChaCha20Poly1305(key).decrypt(bytes(12), sealed[32:], transcript)
    check(plain.hex() == vector["plain"], "opened template")
    check(cbor2.dumps(from_notation(vector["item"])) == plain, "encoding of the template")


def check_frame(vector):
    body, frame = bytes.fromhex(vector["body"]), bytes.fromhex(vector["frame"])
    check(len(body).to_bytes(4, "big") + body == frame, f"frame of {vector['name']}")
    if "item" in vector:
        check(cbor2.dumps(from_notation(vector["item"])) == body, f"encoding of {vector['name']}")


def check_checkpoint(vector):
    """C2SP signed-note and tlog-checkpoint."""
    text, signatures = vector["note"].split("\n\n")
    root = base64.b64encode(bytes.fromhex(vector["root"])).decode()
    check(text == f"{vector['origin']}\n{vector['size']}\n{root}", "text of the checkpoint")
    name, key_id, key = vector["vkey"].split("+", 2)
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["secret"])).public_key()
    typed = b"\x01" + public.public_bytes_raw()
    check(base64.b64decode(key) == typed, "key in the verifier key")
    check(hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8] == key_id, "id in the verifier key")
    dash, signer, signature = signatures.strip().split(" ")
    signature = base64.b64decode(signature)
    check((dash, signer, signature[:4].hex()) == ("\u2014", name, key_id), "signature line")
    public.verify(signature[4:], (text + "\n").encode())


CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MINUTES_FROM = 1_704_067_200_000  # 2024-01-01


def check_code(vector):
    address, symbols = vector["text"].split("/")
    value = 0
    for symbol in symbols.replace("-", ""):
        value = value * 32 + CROCKFORD.index(symbol)
    data = value.to_bytes(35, "big")
    digest = hashlib.sha256(b"sudare pairing code" + address.encode() + data[2:]).digest()
    check(data[:2] == bytes([0x10 | digest[0] & 15, digest[1]]), "version and check of a code")
    check(int.from_bytes(data[2:5], "big") * 60_000 + MINUTES_FROM == vector["not_after_ms"], "end of a code")
    parts = [bytes.fromhex(vector[part]) for part in ("organisation", "certificate", "secret")]
    check(data[5:] == b"".join(parts), "parts of a code")
    seed = hashlib.sha256(b"sudare invitation" + parts[2]).digest()
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    check(public.hex() == vector["public"], "key of a code")


def main():
    keys = {key["name"]: key for key in read("keys.json")}
    check_keys(keys)
    signed = read("messages.json") + read("records.json") + read("entries.json")
    for vector in signed:
        check_signed(vector, keys)
    check_transcript(read("transcript.json")[0])
    check_template(read("template.json")[0])
    for vector in read("frames.json"):
        check_frame(vector)
    check_checkpoint(read("checkpoint.json")[0])
    for vector in read("codes.json"):
        check_code(vector)
    print(f"{len(signed)} signatures verified")


main()
