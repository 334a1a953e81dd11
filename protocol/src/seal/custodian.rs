//! The second seal on full pictures: their age headers are sealed once more, to a custodian.
//!
//! ```text
//! without   header ‖ body                        an auditor opens it alone
//! with      age(header, custodian) ‖ body        header_size says where the first part ends
//! ```
//! A custodian alone gets a header that it cannot open, an auditor alone cannot get one: both are needed. By hand: `head -c SIZE blob | age -d -i custodian.txt > header`, then
//! `(cat header; tail -c +(SIZE+1) blob) | age -d -i auditor.txt`.

use std::io::{Read as _, Write as _};
use std::str::FromStr as _;

use age::x25519;
use zeroize::Zeroizing;

use super::{HEADER_MAX_BYTES, Identity, SealError, Sealed, split_header};

/// The separate service that a policy names.
#[derive(Clone)]
pub struct Custodian(x25519::Recipient);

impl core::fmt::Debug for Custodian {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Custodian")
    }
}

impl Custodian {
    /// Reads the `age1…` string of the signed policy.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        x25519::Recipient::from_str(text.trim()).map(Self).map_err(|_| SealError::Custodian)
    }
}

/// Seals the header of a sealed picture once more. Gives what is stored and the length of its first part;
/// the hash is over what is stored.
pub fn seal_for_custodian(sealed: &Sealed, custodian: &Custodian) -> Result<(Sealed, u32), SealError> {
    let (header, body) = split_header(&sealed.ciphertext)?;
    let wrong = |error: &dyn core::fmt::Display| SealError::Seal(error.to_string());
    let to = std::iter::once(&custodian.0 as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(to).map_err(|e| wrong(&e))?;
    let mut whole = Vec::with_capacity(sealed.ciphertext.len() + 512);
    let mut writer = encryptor.wrap_output(&mut whole).map_err(|e| wrong(&e))?;
    writer.write_all(header).map_err(|e| wrong(&e))?;
    writer.finish().map_err(|e| wrong(&e))?;
    let size = u32::try_from(whole.len()).map_err(|e| wrong(&e))?;
    whole.extend_from_slice(body);
    Ok((Sealed::received(whole, sealed.commitment), size))
}

/// The custodian's part: removes its seal and returns the age header.
pub fn unwrap_header(wrapped: &[u8], custodian: &Identity) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if wrapped.len() > HEADER_MAX_BYTES {
        return Err(SealError::Damaged("its first part is longer than any header"));
    }
    let decryptor =
        age::Decryptor::new(wrapped).map_err(|_| SealError::Damaged("its first part is not age's"))?;
    let mut reader = decryptor.decrypt(custodian.keys()).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => SealError::NotForThisIdentity,
        _ => SealError::Damaged("its first part was changed"),
    })?;
    let mut header = Zeroizing::new(Vec::with_capacity(wrapped.len()));
    reader
        .read_to_end(&mut header)
        .map_err(|_| SealError::Damaged("its first part was changed or cut short"))?;
    match split_header(&header) {
        Ok((_, [])) => Ok(header),
        _ => Err(SealError::Damaged("its first part holds no age header")),
    }
}

/// Splits a stored picture into its first part and its body, wherever `header_size` of the log says so, else
/// behind the age header. See [`split_header`].
pub fn split_stored(stored: &[u8], header_size: Option<u32>) -> Result<(&[u8], &[u8]), SealError> {
    let Some(size) = header_size else { return split_header(stored) };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size == 0 || size > HEADER_MAX_BYTES {
        return Err(SealError::Damaged("the length of its first part is not possible"));
    }
    stored.split_at_checked(size).ok_or(SealError::Damaged("it is shorter than its first part"))
}

#[cfg(test)]
mod tests {
    use super::super::{Recipients, SALT_BYTES, open, seal};
    use super::*;

    struct Case {
        auditor: Identity,
        custodian: Identity,
        stored: Sealed,
        header_size: u32,
    }

    fn case() -> Case {
        let (auditor, other, custodian) = (Identity::generate(), Identity::generate(), Identity::generate());
        let recipients = Recipients::parse(&[auditor.recipient(), other.recipient()]).unwrap();
        let sealed = seal(&[7; 3000], &[9; SALT_BYTES], &recipients).unwrap();
        let to = Custodian::parse(&custodian.recipient()).unwrap();
        let (stored, header_size) = seal_for_custodian(&sealed, &to).unwrap();
        Case { auditor, custodian, stored, header_size }
    }

    #[test]
    fn custodian_and_auditor_open_it_together_and_neither_alone() {
        let Case { auditor, custodian, stored, header_size } = case();
        let (wrapped, body) = split_stored(&stored.ciphertext, Some(header_size)).unwrap();
        assert!(open(&stored.ciphertext, &auditor, &stored.commitment).is_err());
        assert!(open(body, &auditor, &stored.commitment).is_err());
        assert_eq!(unwrap_header(wrapped, &auditor).unwrap_err(), SealError::NotForThisIdentity);
        let header = unwrap_header(wrapped, &custodian).unwrap();
        let whole = [header.as_slice(), body].concat();
        assert_eq!(open(&whole, &custodian, &stored.commitment).unwrap_err(), SealError::NotForThisIdentity);
        assert_eq!(open(&whole, &auditor, &stored.commitment).unwrap().as_slice(), &[7; 3000]);
    }

    #[test]
    fn a_damaged_first_part_is_refused() {
        let Case { custodian, stored, header_size, .. } = case();
        let (wrapped, _) = split_stored(&stored.ciphertext, Some(header_size)).unwrap();
        for at in 0..wrapped.len() {
            let mut bad = wrapped.to_vec();
            bad[at] ^= 1;
            assert!(unwrap_header(&bad, &custodian).is_err(), "byte {at}");
            assert!(unwrap_header(&wrapped[..at], &custodian).is_err(), "cut at {at}");
        }
        let too_long = u32::try_from(stored.ciphertext.len()).unwrap() + 1;
        for size in [0, too_long, u32::MAX] {
            assert!(split_stored(&stored.ciphertext, Some(size)).is_err(), "{size}");
        }
        assert!(matches!(Custodian::parse("ssh-ed25519 x"), Err(SealError::Custodian)));
    }

    #[test]
    fn what_is_wrapped_must_be_a_header_and_nothing_else() {
        let custodian = Identity::generate();
        let to = Custodian::parse(&custodian.recipient()).unwrap();
        let recipients =
            Recipients::parse(&[Identity::generate().recipient(), Identity::generate().recipient()]).unwrap();
        let sealed = seal(b"x", &[1; SALT_BYTES], &recipients).unwrap();
        // A header and then more, sealed as if it were a header: `age` inside `age`.
        let twice = [b"age-encryption.org/v1\n-> x\n--- mac\n", sealed.ciphertext.as_slice()].concat();
        let mut wrapped = Vec::new();
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&to.0 as &dyn age::Recipient)).unwrap();
        let mut writer = encryptor.wrap_output(&mut wrapped).unwrap();
        writer.write_all(&twice).unwrap();
        writer.finish().unwrap();
        assert!(matches!(unwrap_header(&wrapped, &custodian), Err(SealError::Damaged(_))));
    }
}
