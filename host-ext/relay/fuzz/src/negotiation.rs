//! A client's request, and the host's answer to it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sudare_relay::entry::negotiation(data));
