"""Checks a cosigned checkpoint with the package aics-tlog: NOTE LOG_VKEY WITNESS_VKEY."""

import pathlib
import sys

from aics_tlog.checkpoint import WitnessPolicy, checkpoint_from_note, verify_checkpoint
from aics_tlog.note import parse_vkey

note, log, witness = sys.argv[1:]
_, parsed = checkpoint_from_note(pathlib.Path(note).read_text(encoding="utf-8"))
policy = WitnessPolicy(quorum=1, witnesses=(parse_vkey(witness),), max_age_seconds=3600)
result = verify_checkpoint(parsed, parse_vkey(log), policy=policy)
print(result)
sys.exit(0 if result.ok else 1)
