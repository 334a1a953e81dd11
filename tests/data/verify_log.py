"""An independent reader of a Sudare log: aics-tlog from PyPI.

usage: verify_log.py DIR VKEY-FILE [RECEIPT]; prints "accepted" or "refused: why".
"""

import sys
from pathlib import Path

import aics_tlog


def head(path, key):
    note = aics_tlog.parse_note(Path(path).read_bytes())
    found = aics_tlog.verify_checkpoint(note, key, expected_origin=key.name)
    if not found.ok:
        raise ValueError(found.error or "the checkpoint is not signed by this key")
    return found.size, found.root


def verify(folder, key_file, receipt=None):
    key = aics_tlog.read_vkey_file(Path(key_file).read_text())
    size, root = head(Path(folder) / "checkpoint", key)
    reader = aics_tlog.FileSystemTileReader(folder)
    aics_tlog.audit_tiles(reader, size, root)
    if receipt:
        old_size, old_root = head(receipt, key)
        if old_size > size:
            raise ValueError(f"{size} entries, and a receipt proves {old_size}")
        proof = aics_tlog.consistency_proof_from_tiles(reader, old_size, size)
        if not aics_tlog.verify_consistency(old_size, size, old_root, root, proof):
            raise ValueError("the log does not continue the receipt")


try:
    verify(*sys.argv[1:])
    print("accepted")
except (OSError, ValueError) as error:
    print("refused:", type(error).__name__, error)
