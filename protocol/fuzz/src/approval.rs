//! Approvals of erasures and inclusion proofs, which come as files from people outside the host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::approval::{self, APPROVAL_CONTEXT, Wish};
use sudare_protocol::rules::ByteKey;
use sudare_protocol::tlog::inclusion;
use sudare_protocol::{SigningKey, cose};

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::from_bytes(&[2; 32]);
    let public = key.verifying_key();
    drop(approval::open(data, &public));
    let signed = cose::sign1(&key, APPROVAL_CONTEXT, data);
    if let Ok(opened) = approval::open(&signed, &public) {
        if let Ok(again) = approval::sign(&opened, &key) {
            assert_eq!(approval::open(&again, &public), Ok(opened));
        }
    }
    // One signature is never enough, whatever it says.
    let wish = Wish { origin: "", incident_id: [0; 16], pictures: &[] };
    assert!(approval::agree(&wish, &[signed.clone(), signed], &[ByteKey(public.to_bytes())], 0).is_err());
    let hashes: Vec<[u8; 32]> =
        data.chunks_exact(32).map(|hash| hash.try_into().expect("32 bytes")).collect();
    let numbers = data.first_chunk::<16>().map(|n| u128::from_be_bytes(*n)).unwrap_or_default();
    let (index, size) = (numbers as u64, (numbers >> 64) as u64);
    assert!(!inclusion::verify(&[1; 32], index, size, &hashes, &[2; 32]));
});
