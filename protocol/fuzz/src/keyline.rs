//! Key lines and pairing codes: text that people copy, cut and edit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::enrol::PairingCode;
use sudare_protocol::keyfile;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = keyfile::parse_secret(text) {
        let again = keyfile::parse_secret(&keyfile::secret_line(&key)).expect("a line of ours");
        assert_eq!(again.to_bytes(), key.to_bytes());
    }
    if let Ok(key) = keyfile::parse_public(text) {
        assert_eq!(keyfile::parse_public(&keyfile::public_line(&key)), Ok(key));
    }
    if let Ok(code) = PairingCode::parse(text) {
        assert_eq!(PairingCode::parse(&code.to_text()).expect("a code of ours"), code);
    }
});
