//! Both ends after a handshake, and a hand that can sign as the device whatever it likes.

use minicbor::Encode;
use sudare_protocol::client::{self, AwaitHello};
use sudare_protocol::error::{Code, Fault, Refusal};
use sudare_protocol::host::{self, AwaitOpen};
use sudare_protocol::message::{self, Attest};
use sudare_protocol::session::transcript;
use sudare_protocol::{SigningKey, cose};
use sudare_test_kit::pair;

/// The first sequence number after the handshake.
pub(super) const FIRST: u64 = 1;

pub(super) struct Ends {
    pub(super) client: client::Live,
    pub(super) host: host::Live,
    transcript: [u8; 32],
}

/// A session of its own for each host nonce.
pub(super) fn session(host_nonce: [u8; 32], now_ms: u64) -> Ends {
    let (host, hello) = AwaitOpen::new(pair::host_setup().unwrap(), host_nonce, now_ms).unwrap();
    let hello = one_frame(&hello);
    let (client, open) = AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&hello).unwrap();
    let open = one_frame(&open);
    let (host, ready, _) =
        host.handle(&open, &pair::OneDevice::default(), &pair::host_fresh(), now_ms).unwrap();
    let (client, _) = client.handle(&one_frame(&ready)).unwrap();
    Ends { client, host, transcript: transcript(&hello, &open) }
}

impl Ends {
    /// A message as the device would sign it, with any type, place and body.
    pub(super) fn by_device(&self, kind: u8, sequence: u64, body: &impl Encode<()>) -> Vec<u8> {
        self.signed(&pair::device_key(), kind, sequence, body)
    }

    pub(super) fn by_host(&self, kind: u8, sequence: u64, body: &impl Encode<()>) -> Vec<u8> {
        self.signed(&pair::host_key(), kind, sequence, body)
    }

    pub(super) fn signed(&self, by: &SigningKey, kind: u8, sequence: u64, body: &impl Encode<()>) -> Vec<u8> {
        cose::sign1(by, &self.transcript, &message::encode(kind, sequence, body))
    }
}

/// A body with one more key, which no reader knows, and so many bytes under it.
pub(super) struct Padded<T>(pub(super) T, pub(super) usize);

impl<T: Encode<()>> Encode<()> for Padded<T> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut (),
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let body = minicbor::to_vec(&self.0).unwrap();
        // The header of a small map counts its pairs.
        e.writer_mut().write_all(&[body[0] + 1]).map_err(minicbor::encode::Error::write)?;
        e.writer_mut().write_all(&body[1..]).map_err(minicbor::encode::Error::write)?;
        e.u16(4_000)?.bytes(&vec![0; self.1])?.ok()
    }
}

/// An attestation of a clear view.
pub(super) fn clear(nonce: message::Id) -> Attest {
    Attest { nonce, ..pair::clear(1) }
}

/// The one frame in what an end gave out.
#[track_caller]
pub(super) fn one_frame(bytes: &[u8]) -> Vec<u8> {
    let mut frames = pair::frames(bytes);
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

/// Refused for this reason, by this one's fault, in words of at least two sentences.
#[track_caller]
pub(super) fn assert_refused(refusal: &Refusal, code: Code, fault: Fault) {
    assert_eq!((refusal.code, refusal.fault), (code, fault), "{refusal}");
    assert!(refusal.to_string().contains(". "), "no advice: {refusal}");
}
