//! Consent that is taken back: both ends, what is refused afterwards, and what a third party can check.

use sudare_protocol::SigningKey;
use sudare_protocol::client::{AwaitHello, Setup};
use sudare_protocol::error::{Code, Fault};
use sudare_protocol::host::AwaitOpen;
use sudare_protocol::records::Signed;
use sudare_protocol::withdrawal::{Receipt, Withdrawal};
use sudare_test_kit::pair;

use super::ends::{assert_refused, one_frame};
use super::{NOW_MS, host_refuses, offer, stranger_key};

fn setup(withdrawal: Vec<u8>) -> Setup {
    Setup { withdrawal: Some(withdrawal), ..pair::client_setup() }
}

fn signed(by: &SigningKey, of: &SigningKey) -> Vec<u8> {
    let device_key = of.verifying_key().to_bytes();
    Signed::sign(by, &Withdrawal { device_key, at_ms: pair::WALL_MS }).unwrap()
}

fn open(withdrawal: Vec<u8>) -> Vec<u8> {
    let (_, hello) = offer();
    let (_, open) = AwaitHello::new(setup(withdrawal), pair::client_fresh()).handle(&hello).unwrap();
    one_frame(&open)
}

#[test]
fn the_host_erases_and_signs_a_receipt_that_anybody_can_check() {
    let (host, hello) = offer();
    let client = AwaitHello::new(setup(pair::withdrawal()), pair::client_fresh());
    let (client, open) = client.handle(&hello).unwrap();
    assert!(client.is_withdrawing());
    let open = one_frame(&open);
    assert!(AwaitOpen::is_withdrawing(&open));
    // Also of a device that was revoked: taking back is nobody's to refuse.
    let devices = pair::OneDevice { revoked: true, ..pair::OneDevice::default() };
    let taken_back = host.withdraw(&open, &devices, NOW_MS).unwrap();
    assert_eq!(taken_back.open, open, "the log keeps what the device signed");
    let receipt = client.withdrawn(&one_frame(&taken_back.reply)).unwrap();
    let bytes = receipt.bytes().to_vec();
    let read = Signed::<Receipt>::verify_any_time(&pair::host_key().verifying_key(), &bytes).unwrap();
    assert_eq!((read.record().host_id.as_str(), read.record().erased), ("vdi-1", true));
    let device = pair::device_key().verifying_key();
    let withdrawal = Signed::<Withdrawal>::verify_any_time(&device, &pair::withdrawal()).unwrap();
    assert_eq!(read.record().withdrawal, withdrawal.digest());
}

#[test]
fn afterwards_the_device_is_refused() {
    let (host, hello) = offer();
    let (_, open) = AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&hello).unwrap();
    let devices = pair::OneDevice { withdrawn: true, ..pair::OneDevice::default() };
    let refused = host.handle(&one_frame(&open), &devices, &pair::host_fresh(), NOW_MS).unwrap_err();
    assert_refused(&refused.refusal, Code::ConsentWithdrawn, Fault::Peer);
}

#[test]
fn nobody_takes_back_for_another_device() {
    for (by, of) in [
        (pair::device_key(), stranger_key()),
        (stranger_key(), pair::device_key()),
        (stranger_key(), stranger_key()),
    ] {
        let (host, _) = offer();
        let withdrawn = host.withdraw(&open(signed(&by, &of)), &pair::OneDevice::default(), NOW_MS);
        assert_refused(&withdrawn.unwrap_err().refusal, Code::Signature, Fault::Peer);
    }
    let (host, _) = offer();
    let unknown = pair::OneDevice { missing: true, ..pair::OneDevice::default() };
    let refused = host.withdraw(&open(pair::withdrawal()), &unknown, NOW_MS).unwrap_err();
    assert_refused(&refused.refusal, Code::DeviceUnknown, Fault::Organisation);
}

#[test]
fn whoever_takes_back_gets_no_session() {
    host_refuses(&open(pair::withdrawal()), Code::Unexpected, Fault::Peer);
}

#[test]
fn a_receipt_for_something_else_is_none() {
    let (host, hello) = offer();
    let client = AwaitHello::new(setup(pair::withdrawal()), pair::client_fresh());
    let (client, _) = client.handle(&hello).unwrap();
    // The host answers an earlier withdrawal of the same device.
    let earlier = Withdrawal { device_key: pair::device_key().verifying_key().to_bytes(), at_ms: 1 };
    let earlier = open(Signed::sign(&pair::device_key(), &earlier).unwrap());
    let taken_back = host.withdraw(&earlier, &pair::OneDevice::default(), NOW_MS).unwrap();
    assert_refused(
        &client.withdrawn(&one_frame(&taken_back.reply)).unwrap_err().refusal,
        Code::Signature,
        Fault::Peer,
    );
}
