//! `coset`, a COSE implementation that is not ours, reads and writes the very same bytes.

use coset::iana::Algorithm;
use coset::{CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _};
use sudare_protocol::cose;

use super::{cases, hex};

#[test]
fn coset_reads_our_messages_and_writes_them_again_the_same() {
    for said in cases::all_signed() {
        let parsed = CoseSign1::from_tagged_slice(&said.message).unwrap();
        let again = parsed.clone().to_tagged_vec().unwrap();
        assert_eq!(hex(again), hex(&said.message), "{}", said.name);
        let algorithm = coset::RegisteredLabelWithPrivate::Assigned(Algorithm::Ed25519);
        assert_eq!(parsed.protected.header.alg, Some(algorithm));
        assert_eq!(parsed.protected.header.key_id, cose::key_id(&said.key.verifying_key()));
        assert!(parsed.unprotected.is_empty());
    }
}

#[test]
fn coset_verifies_our_signatures_over_the_bytes_that_it_makes_itself() {
    for said in cases::all_signed() {
        let parsed = CoseSign1::from_tagged_slice(&said.message).unwrap();
        let public = said.key.verifying_key();
        let verify = |signature: &[u8], signed: &[u8]| {
            public.verify_strict(signed, &signature.try_into().expect("64 bytes")).map_err(|_| ())
        };
        assert_eq!(parsed.verify_signature(&said.context, verify), Ok(()), "{}", said.name);
        assert_eq!(parsed.verify_signature(b"another context", verify), Err(()), "{}", said.name);
    }
}

#[test]
fn a_message_that_coset_builds_is_ours_to_the_last_byte() {
    for said in cases::all_signed() {
        let payload = cose::unverified_payload(&said.message).unwrap();
        let protected = HeaderBuilder::new()
            .algorithm(Algorithm::Ed25519)
            .key_id(cose::key_id(&said.key.verifying_key()).to_vec())
            .build();
        let unsigned = CoseSign1Builder::new().protected(protected).payload(payload.to_vec()).build();
        // Ed25519 is deterministic: the signature at the end of ours must fit what coset signs.
        let signature = &said.message[said.message.len() - 64..];
        let signed = unsigned.tbs_data(&said.context);
        let public = said.key.verifying_key();
        assert!(public.verify_strict(&signed, &signature.try_into().expect("64 bytes")).is_ok());
        let built = CoseSign1 { signature: signature.to_vec(), ..unsigned }.to_tagged_vec().unwrap();
        assert_eq!(hex(&built), hex(&said.message), "{}", said.name);
        assert!(cose::verify1(&public, &said.context, &built).is_ok());
    }
}
