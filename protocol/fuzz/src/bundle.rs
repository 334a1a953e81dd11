//! Entry bundles of a log, and the check of a whole log over whatever entries they hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::SigningKey;
use sudare_protocol::tlog::{VerifierKey, tiles};
use sudare_protocol::verify::{Depth, Findings, LogCheck};

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::from_bytes(&[4; 32]).verifying_key();
    let name = VerifierKey::new("sudare/vdi-1", key).expect("a name");
    // Hashes alone let unsigned handshakes, messages and manifests through to what reads them.
    let mut checks = [Depth::Signatures, Depth::Hashes]
        .map(|depth| LogCheck::new(name.clone(), Vec::new()).with_depth(depth).with_organisation(Some(key)));
    let (mut again, mut findings) = (Vec::new(), Findings::default());
    for entry in tiles::entries(data) {
        let Ok(entry) = entry else { return };
        for check in &mut checks {
            drop(check.leaf(entry, &mut findings));
        }
        tiles::push_entry(&mut again, entry).expect("an entry of a bundle fits a bundle");
    }
    assert_eq!(again, data, "what was read whole is written the same");
});
