//! What somebody with write access to the store could try, and what we find.

use std::fs;

use sudare_protocol::SigningKey;
use sudare_protocol::tlog::merkle::leaf_hash;

use super::store::{Case, ENTRIES, edit_entry, leaves, write};

pub(super) struct Attack {
    pub name: &'static str,
    pub change: fn(&Case),
    /// Ours, each name once, in alphabetical order.
    pub findings: &'static [&'static str],
}

const FULL: &str = "tile/entries/001";

pub(super) const ATTACKS: &[Attack] = &[
    Attack { name: "nothing", change: Case::keep_receipt, findings: &[] },
    Attack {
        name: "a byte of an entry is edited",
        change: |case| case.edit(FULL, |bundle| drop(edit_entry(bundle, 9, |entry| flip(entry)))),
        findings: &["entry-signature", "root-differs", "tile-differs"],
    },
    Attack {
        name: "an entry and its hash in the tile are edited",
        change: |case| {
            let mut hash = [0; 32];
            case.edit(FULL, |bundle| hash = leaf_hash(&edit_entry(bundle, 9, |entry| flip(entry))));
            case.edit("tile/0/001", |tile| tile[9 * 32..][..32].copy_from_slice(&hash));
        },
        findings: &["entry-signature", "root-differs", "tile-differs"],
    },
    Attack {
        name: "two entries are swapped",
        change: |case| {
            case.edit(FULL, |bundle| {
                let mut all = leaves(bundle);
                all.swap(3, 4);
                write(bundle, &all);
            });
        },
        findings: &["entry-order", "root-differs", "tile-differs", "time-order"],
    },
    Attack {
        name: "a bundle is deleted",
        change: |case| fs::remove_file(case.file(FULL)).unwrap(),
        findings: &["bundle-missing"],
    },
    Attack {
        name: "a bundle is cut short",
        change: |case| case.edit(FULL, |bundle| bundle.truncate(bundle.len() - 1)),
        findings: &["bundle-damaged"],
    },
    Attack {
        name: "a tile of hashes is cut short",
        change: |case| case.edit("tile/0/001", |tile| tile.truncate(100)),
        findings: &["tile-differs"],
    },
    Attack {
        name: "the size in the checkpoint is changed",
        change: |case| {
            case.edit("checkpoint", |note| {
                let text = String::from_utf8(note.clone()).unwrap();
                *note = text.replace(&format!("\n{ENTRIES}\n"), &format!("\n{}\n", ENTRIES - 1)).into_bytes();
            });
        },
        findings: &["checkpoint-refused"],
    },
    Attack {
        name: "the log is cut back to an older checkpoint (a receipt is known)",
        change: |case| {
            let older = fs::read(case.file("checkpoint")).unwrap();
            case.append(ENTRIES + 100);
            case.keep_receipt();
            fs::write(case.file("checkpoint"), older).unwrap();
        },
        findings: &["beyond-checkpoint", "rolled-back"],
    },
    Attack {
        name: "another history is signed with the log key (a receipt is known)",
        change: |case| {
            case.keep_receipt();
            case.rewrite(ENTRIES + 100);
        },
        findings: &["forked"],
    },
    Attack {
        name: "the log of another key is put in its place",
        change: |case| case.give_key(&SigningKey::from_bytes(&[8; 32])),
        findings: &["checkpoint-refused"],
    },
    Attack {
        name: "a sealed picture is deleted",
        change: |case| fs::remove_file(case.picture().body).unwrap(),
        findings: &["blob-missing"],
    },
    Attack {
        name: "a sealed picture is edited",
        change: |case| {
            let mut body = fs::read(case.picture().body).unwrap();
            flip(&mut body);
            fs::write(case.picture().body, body).unwrap();
        },
        findings: &["blob-differs"],
    },
];

/// The last byte: of an entry it is one of the signature.
fn flip(bytes: &mut [u8]) {
    *bytes.last_mut().unwrap() ^= 1;
}
