//! Frames of both sides from the settings to the session, which is covered and uncovered between them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sudare_relay::entry::connection(data));
