//! A TSRequest of either side, and the packets between the gate and `sudare-nla`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sudare_relay::entry::credssp(data));
