//! Both sides, covers, uncovers and pulls in a session; nothing may be shown under a cover.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sudare_relay::entry::session(data));
