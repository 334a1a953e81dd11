//! A leaf of the log and the body of each kind of entry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::evidence::{ENTRY_CONTEXT, Entry, Event};
use sudare_protocol::{SigningKey, cose};

fuzz_target!(|data: &[u8]| {
    let host = SigningKey::from_bytes(&[2; 32]);
    drop(Entry::open_unverified(data));
    let leaf = cose::sign1(&host, ENTRY_CONTEXT, data);
    if let Ok(entry) = Entry::open(&leaf, &host.verifying_key()) {
        drop(entry.event());
        if let Ok(again) = entry.sign(&host) {
            assert_eq!(Entry::open(&again, &host.verifying_key()), Ok(entry));
        }
    }
    let Some((kind, body)) = data.split_first() else { return };
    if let Ok(event) = Event::decode(u16::from(*kind), body) {
        let (kind, body) = event.encode();
        assert_eq!(Event::decode(kind, &body), Ok(event));
    }
});
