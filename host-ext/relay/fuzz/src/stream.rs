//! A stream of either side, cut into frames, each read as every kind of message.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sudare_relay::entry::stream(data));
