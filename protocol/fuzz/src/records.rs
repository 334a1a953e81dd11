//! Records as files: unsigned bytes, and bytes that the organisation signed although they make no sense. What a vector's
//! signature covers is signed again with the key of this target, so that reading goes on behind it; the time at which a
//! record is read is among the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::bundle::{self, SignedBundle, claimed_device};
use sudare_protocol::enrol::{Admission, EnrollerRecord, Enrolment, Invitation, Invited, Revocation};
use sudare_protocol::records::{DeviceRecord, HostRecord, Policy, Record, Signed};
use sudare_protocol::withdrawal::{Receipt, Withdrawal};
use sudare_protocol::{SigningKey, cose};

fuzz_target!(|data: &[u8]| {
    check::<HostRecord>(data);
    check::<DeviceRecord>(data);
    check::<EnrollerRecord>(data);
    check::<Invitation>(data);
    check::<Enrolment>(data);
    check::<Revocation>(data);
    check::<Policy>(data);
    check::<Withdrawal>(data);
    check::<Receipt>(data);
    admission(data);
    bundle(data);
});

/// What the input says of an enroller, an invitation and a device, each signed by whom it should be: three parts, with the
/// lengths of the first two before them.
fn admission(data: &[u8]) {
    let organisation = SigningKey::from_bytes(&[1; 32]);
    drop(Admission::verify(&organisation.verifying_key(), data));
    let Some(([first, second], rest)) = data.split_first_chunk() else { return };
    let Some((enroller, rest)) = rest.split_at_checked(usize::from(*first)) else { return };
    let Some((invitation, enrolment)) = rest.split_at_checked(usize::from(*second)) else { return };
    let enroller = cose::sign1(&organisation, EnrollerRecord::CONTEXT, enroller);
    // With this key both the enroller and the one-time key can be anybody's.
    let invitation = cose::sign1(&organisation, Invitation::CONTEXT, invitation);
    let enrolment = cose::sign1(&organisation, Enrolment::CONTEXT, enrolment);
    let Ok(invited) = Invited::of(&organisation.verifying_key(), &enroller, &invitation) else { return };
    let again = Invited::verify(&organisation.verifying_key(), &invited.to_bytes());
    assert_eq!(again.as_ref(), Ok(&invited));
    let Ok(admission) = Admission::new(invited, &enrolment) else { return };
    let again = Admission::verify(&organisation.verifying_key(), admission.bytes()).expect("what was read");
    assert_eq!(again.device(), admission.device());
    assert!(admission.device().not_after_ms <= admission.invited().enroller().not_after_ms);
}

/// What the input says of a fleet, signed by the organisation.
fn bundle(data: &[u8]) {
    let organisation = SigningKey::from_bytes(&[1; 32]);
    let payload = cose::unverified_payload(data).unwrap_or(data);
    let signed = cose::sign1(&organisation, bundle::CONTEXT, payload);
    let Ok(read) = SignedBundle::verify(&organisation.verifying_key(), &signed) else { return };
    let is_for_us = read.bundle().hosts.is_empty() || read.bundle().hosts.iter().any(|host| host == "vdi-1");
    assert_eq!(read.is_news("vdi-1", None).is_ok(), is_for_us);
    if is_for_us {
        assert_eq!(read.is_news("vdi-1", Some(read.mark())), Ok(false));
    }
    for device in &read.bundle().devices {
        std::hint::black_box(claimed_device(device));
    }
}

fn check<R: Record + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let organisation = SigningKey::from_bytes(&[1; 32]);
    let public = organisation.verifying_key();
    // Nobody finds a signature by chance, but the seeds carry some.
    drop(Signed::<R>::verify(&public, data, 0));
    let payload = cose::unverified_payload(data).unwrap_or(data);
    let signed = cose::sign1(&organisation, R::CONTEXT, payload);
    let Ok(read) = Signed::<R>::verify_any_time(&public, &signed) else { return };
    let again = Signed::sign(&organisation, read.record()).expect("what was read can be signed");
    let again = Signed::<R>::verify_any_time(&public, &again).expect("and read");
    assert_eq!(again.record(), read.record());
    // At its edges, and at a time that the input names.
    let (from, until) = read.record().validity_ms();
    let named = data.last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    for now in [from, until, from.wrapping_sub(1), until.wrapping_add(1), named] {
        let valid = from <= now && now <= until;
        match Signed::<R>::verify(&public, &signed, now) {
            Ok(_) => assert!(valid),
            Err(error) => assert!(!valid && error.to_string().contains(". "), "{error}"),
        }
    }
}
