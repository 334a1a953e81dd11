//! One message, read as each of the kinds that there are.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sudare_relay::entry::wire(data));
