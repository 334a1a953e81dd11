//! TSRequest ([MS-CSSP] 2.2.1).
//!
//! Strict: fields in their order, each once, nothing behind the last. What a client would need another field for is a
//! protocol that the gate does not speak.

use super::der::{self, OCTET_STRING, SEQUENCE, Values};

/// A whole TSRequest: room for a Kerberos ticket with many groups.
pub const REQUEST_MAX_BYTES: usize = 64 * 1024;
const NONCE_BYTES: usize = 32;

/// What is wrong with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends before its fields do.
    #[error("ends before its fields do")]
    Cut,
    /// A length without an end, or more than the gate takes.
    #[error("has a length that nobody needs")]
    Length,
    /// Something else than the specification has there.
    #[error("has a field that is not in its place")]
    Field,
}

/// A TSRequest. Only its lengths are printed: the fields hold proofs and sealed passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Of CredSSP: 2 to 6.
    pub version: u32,
    /// SPNEGO or NTLM.
    pub token: Option<Vec<u8>>,
    /// The sealed credentials.
    pub credentials: Option<Vec<u8>>,
    /// The sealed hash of the server's public key.
    pub public_key: Option<Vec<u8>>,
    /// NTSTATUS.
    pub error: Option<u32>,
    /// Of the client.
    pub nonce: Option<[u8; NONCE_BYTES]>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = |field: &Option<Vec<u8>>| field.as_ref().map(Vec::len);
        f.debug_struct("Request")
            .field("version", &self.version)
            .field("token", &length(&self.token))
            .field("credentials", &length(&self.credentials))
            .field("public_key", &length(&self.public_key))
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// How long the TSRequest at the begin of these bytes is. None: there are too few to tell.
///
/// # Errors
/// If none begins here, or a longer one than the gate takes.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    if bytes.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Malformed::Field);
    }
    let Some((header, length)) = der::header(bytes)? else { return Ok(None) };
    let length = header.saturating_add(length);
    if length > REQUEST_MAX_BYTES { Err(Malformed::Length) } else { Ok(Some(length)) }
}

impl Request {
    /// Reads a whole one.
    ///
    /// # Errors
    /// If it is not one.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > REQUEST_MAX_BYTES {
            return Err(Malformed::Length);
        }
        let mut fields = Values::new(Values::new(bytes).only(SEQUENCE)?);
        let version = der::unsigned(Values::new(fields.next(der::field(0))?).only(der::INTEGER)?)?;
        let token = match fields.next_if(der::field(1))? {
            Some(tokens) => Some(first_token(tokens)?),
            None => None,
        };
        let mut octets = |number| -> Result<Option<Vec<u8>>, Malformed> {
            let field = fields.next_if(der::field(number))?;
            field.map(|field| Values::new(field).only(OCTET_STRING).map(<[u8]>::to_vec)).transpose()
        };
        let (credentials, public_key) = (octets(2)?, octets(3)?);
        let error = match fields.next_if(der::field(4))? {
            Some(field) => Some(status(Values::new(field).only(der::INTEGER)?)?),
            None => None,
        };
        let nonce = match fields.next_if(der::field(5))? {
            Some(field) => {
                let nonce = Values::new(field).only(OCTET_STRING)?;
                Some(nonce.try_into().map_err(|_| Malformed::Field)?)
            }
            None => None,
        };
        if !fields.is_empty() {
            return Err(Malformed::Field);
        }
        Ok(Self { version, token, credentials, public_key, error, nonce })
    }

    /// Writes it.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let octets = |number, bytes: &[u8]| der::value(der::field(number), &der::value(OCTET_STRING, bytes));
        let mut fields = der::value(der::field(0), &der::integer(self.version));
        if let Some(token) = &self.token {
            let item = der::value(SEQUENCE, &octets(0, token));
            fields.extend(der::value(der::field(1), &der::value(SEQUENCE, &item)));
        }
        if let Some(credentials) = &self.credentials {
            fields.extend(octets(2, credentials));
        }
        if let Some(key) = &self.public_key {
            fields.extend(octets(3, key));
        }
        if let Some(error) = self.error {
            // Four bytes with a sign, as Windows does: xfreerdp 2.11 reads no longer integer.
            fields.extend(der::value(der::field(4), &der::value(der::INTEGER, &error.to_be_bytes())));
        }
        if let Some(nonce) = &self.nonce {
            fields.extend(octets(5, nonce));
        }
        der::value(SEQUENCE, &fields)
    }
}

/// A list of tokens has one here.
fn first_token(tokens: &[u8]) -> Result<Vec<u8>, Malformed> {
    let item = Values::new(Values::new(tokens).only(SEQUENCE)?).only(SEQUENCE)?;
    let octets = Values::new(item).only(der::field(0))?;
    Values::new(octets).only(OCTET_STRING).map(<[u8]>::to_vec)
}

/// NTSTATUS of a failure has the highest bit set, so that some write it as a negative integer.
fn status(value: &[u8]) -> Result<u32, Malformed> {
    match <[u8; 4]>::try_from(value) {
        Ok(four) => Ok(u32::from_be_bytes(four)),
        Err(_) => der::unsigned(value),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full() -> Request {
        Request {
            version: 6,
            token: Some(b"NTLMSSP\0".to_vec()),
            credentials: Some(vec![1; 300]),
            public_key: Some(vec![2; 48]),
            error: Some(0xC000_006D),
            nonce: Some([3; 32]),
        }
    }

    #[test]
    fn a_request_of_xfreerdp_is_read() {
        // The first one, as version 2.11 sends it.
        let mut bytes =
            vec![0x30, 0x37, 0xA0, 3, 2, 1, 6, 0xA1, 0x30, 0x30, 0x2E, 0x30, 0x2C, 0xA0, 0x2A, 4, 0x28];
        bytes.extend([0x4E; 0x28]);
        assert_eq!(length(&bytes), Ok(Some(bytes.len())));
        let request = Request::read(&bytes).unwrap();
        assert_eq!((request.version, request.token.as_deref()), (6, Some(&[0x4E; 0x28][..])));
        assert_eq!(request.write(), bytes);
    }

    #[test]
    fn a_failure_has_four_bytes_as_clients_read_it() {
        let denied = Request { version: 6, error: Some(0xC000_006D), ..Request::default() };
        assert!(denied.write().ends_with(&[0xA4, 6, 2, 4, 0xC0, 0, 0, 0x6D]));
    }

    #[test]
    fn what_is_written_is_read_and_every_cut_is_noticed() {
        let bytes = full().write();
        assert_eq!(Request::read(&bytes), Ok(full()));
        for cut in 0..bytes.len() {
            assert!(Request::read(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(Request::read(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn too_long_ones_are_refused_before_they_have_arrived() {
        assert_eq!(length(&[0x30, 0x83, 0, 0xFF, 0xFB]), Ok(Some(64 * 1024)));
        assert_eq!(length(&[0x30, 0x83, 0, 0xFF, 0xFC]), Err(Malformed::Length));
        assert_eq!(length(&[3, 0]), Err(Malformed::Field));
        assert_eq!(length(&[0x30]), Ok(None));
    }

    #[test]
    fn fields_out_of_order_twice_or_unknown_are_refused() {
        let nonce = |length| der::value(der::field(5), &der::value(OCTET_STRING, &vec![0; length]));
        let version = || der::value(der::field(0), &der::integer(6));
        for fields in [
            vec![],
            [nonce(32), version()].concat(),
            [version(), nonce(32), nonce(32)].concat(),
            [version(), nonce(31)].concat(),
            [version(), der::value(der::field(6), &[])].concat(),
            [version(), der::value(der::field(1), &der::value(SEQUENCE, &[]))].concat(),
        ] {
            assert!(Request::read(&der::value(SEQUENCE, &fields)).is_err(), "{fields:x?}");
        }
        assert!(Request::read(&der::value(SEQUENCE, &[version(), nonce(32)].concat())).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            length(&bytes).ok();
            if let Ok(request) = Request::read(&bytes) {
                prop_assert_eq!(Request::read(&request.write()), Ok(request));
            }
        }
    }
}
