//! Records as files: unsigned bytes, and bytes that the organisation signed although they make no
//! sense.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::records::{DeviceRecord, HostRecord, Policy, Record, Signed};
use sudare_protocol::{SigningKey, cose};

fuzz_target!(|data: &[u8]| {
    check::<HostRecord>(data);
    check::<DeviceRecord>(data);
    check::<Policy>(data);
});

fn check<R: Record + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let organisation = SigningKey::from_bytes(&[1; 32]);
    let public = organisation.verifying_key();
    // Nobody finds a signature by chance, but the seeds carry some.
    drop(Signed::<R>::verify(&public, data, 0));
    let signed = cose::sign1(&organisation, R::CONTEXT, data);
    if let Ok(read) = Signed::<R>::verify_any_time(&public, &signed) {
        let again = Signed::sign(&organisation, read.record()).expect("what was read can be signed");
        let again = Signed::<R>::verify_any_time(&public, &again).expect("and read");
        assert_eq!(again.record(), read.record());
    }
}
