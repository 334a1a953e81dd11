//! Entry bundles of a log, and the check of a whole log over whatever entries they hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::SigningKey;
use sudare_protocol::tlog::{VerifierKey, tiles};
use sudare_protocol::verify::{Findings, LogCheck};

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::from_bytes(&[4; 32]).verifying_key();
    let mut check = LogCheck::new(VerifierKey::new("sudare/vdi-1", key).expect("a name"), Vec::new());
    let (mut again, mut findings) = (Vec::new(), Findings::default());
    for entry in tiles::entries(data) {
        let Ok(entry) = entry else { return };
        drop(check.leaf(entry, &mut findings));
        tiles::push_entry(&mut again, entry).expect("an entry of a bundle fits a bundle");
    }
    assert_eq!(again, data, "what was read whole is written the same");
});
