//! The public key that CredSSP binds to the TLS session: the bits of SubjectPublicKey ([MS-CSSP] 3.1.5, step 3).

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_relay::credssp::der::{BIT_STRING, SEQUENCE, Values, field};
use sudare_relay::credssp::request::Malformed;

/// Of a certificate (DER, RFC 5280 section 4.1).
///
/// # Errors
/// If it is none.
pub fn public_key(certificate: &[u8]) -> Result<Vec<u8>, Malformed> {
    const INTEGER: u8 = 2;
    let mut parts = Values::new(Values::new(certificate).only(SEQUENCE)?);
    let mut fields = Values::new(parts.next(SEQUENCE)?);
    fields.next_if(field(0))?;
    fields.next(INTEGER)?;
    // Signature, issuer, validity, subject.
    for _ in 0..4 {
        fields.next(SEQUENCE)?;
    }
    let mut key = Values::new(fields.next(SEQUENCE)?);
    key.next(SEQUENCE)?;
    match key.only(BIT_STRING)? {
        [0, bits @ ..] => Ok(bits.to_vec()),
        _ => Err(Malformed::Field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_the_key_are_found_and_every_cut_is_noticed() {
        let made = rcgen::generate_simple_self_signed(vec!["host".to_owned()]).unwrap();
        let der = made.cert.der();
        let key = public_key(der).unwrap();
        // An uncompressed point of P-256.
        assert_eq!((key.len(), key[0]), (65, 4));
        assert_eq!(key, rcgen::PublicKeyData::der_bytes(&made.signing_key));
        for cut in 0..der.len() {
            assert!(public_key(&der[..cut]).is_err(), "{cut}");
        }
    }
}
