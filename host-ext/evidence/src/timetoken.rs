//! Request and answer of a time-stamp service in DER (RFC 3161, sections 2.4.1 and 2.4.2). Pure.
//!
//! Of the answer it reads `TimeStampResp { status, ContentInfo { SignedData { .. TSTInfo } } }`. The signature over it is
//! not checked here: `sudare-audit verify --timestamps` does that, with openssl and a certificate that the auditor trusts.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use der::asn1::{Any, AnyRef, ObjectIdentifier, OctetString, UintRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader, Tag, Tagged as _};
use thiserror::Error;

/// Longest answer that is read: a time token with its certificates has about 6 KiB.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// The service refused the request.
    #[error(
        "the time-stamp service refused (status {0}). Ask its operator whether it accepts SHA-256 and requests without \
         a policy"
    )]
    Refused(u8),
    /// Not a time-stamp response.
    #[error("this is not the answer of a time-stamp service (RFC 3161, DER): {0}. Check its address")]
    Malformed(String),
    /// For another digest.
    #[error("the token is for another digest. Do not use it: somebody may be intercepting the connection")]
    WrongDigest,
    /// For another request.
    #[error("the token answers another request: its nonce differs. Do not use it: it may be a replay")]
    WrongNonce,
}

/// The content of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// When the service saw the digest, in RFC 3339, UTC.
    pub time: String,
    /// The same as Unix time in milliseconds.
    pub time_ms: i64,
    /// Policy of the service, as an object identifier.
    pub policy: String,
}

#[derive(Sequence)]
struct AlgorithmIdentifier {
    algorithm: ObjectIdentifier,
    parameters: Option<Any>,
}

#[derive(Sequence)]
struct MessageImprint {
    hash_algorithm: AlgorithmIdentifier,
    hashed_message: OctetString,
}

#[derive(Sequence)]
struct TimeStampReq<'a> {
    version: u8,
    message_imprint: MessageImprint,
    nonce: UintRef<'a>,
    cert_req: bool,
}

#[derive(Sequence)]
struct ContentInfo<'a> {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: AnyRef<'a>,
}

/// A request that asks for the service's certificate as well, so that the token is self-contained.
pub fn request(digest: &[u8; 32], nonce: [u8; NONCE_BYTES]) -> Result<Vec<u8>, TokenError> {
    let hash_algorithm = AlgorithmIdentifier { algorithm: SHA_256, parameters: Some(Any::null()) };
    let request = TimeStampReq {
        version: 1,
        message_imprint: MessageImprint { hash_algorithm, hashed_message: OctetString::new(&digest[..])? },
        nonce: UintRef::new(&nonce)?,
        cert_req: true,
    };
    Ok(request.to_der()?)
}

/// Reads an answer and checks that it belongs to the request with this digest and nonce.
pub fn parse(response: &[u8], digest: &[u8; 32], nonce: [u8; NONCE_BYTES]) -> Result<Token, TokenError> {
    let (token, answered) = open(response, digest)?;
    if answered.as_deref() != Some(UintRef::new(&nonce)?.as_bytes()) {
        return Err(TokenError::WrongNonce);
    }
    Ok(token)
}

/// Reads a stored answer and checks that it is about this digest; its nonce is no longer known.
pub fn read(response: &[u8], digest: &[u8; 32]) -> Result<Token, TokenError> {
    Ok(open(response, digest)?.0)
}

/// A token and the nonce in it.
type Answered = (Token, Option<Vec<u8>>);

fn open(response: &[u8], digest: &[u8; 32]) -> Result<Answered, TokenError> {
    let (status, content) = outer(response)?;
    // 0 granted, 1 granted with modifications.
    if status > 1 {
        return Err(TokenError::Refused(status));
    }
    let content = content.ok_or_else(|| malformed("it holds no token"))?;
    if content.content_type != SIGNED_DATA {
        return Err(malformed("the token is not signed data"));
    }
    let info = content.content.sequence(signed_content)?;
    let info = info.ok_or_else(|| malformed("the token holds no time-stamp information"))?;
    read_info(info.as_bytes(), digest)
}

/// Status and token of `TimeStampResp`.
fn outer(response: &[u8]) -> Result<(u8, Option<ContentInfo<'_>>), TokenError> {
    let mut reader = SliceReader::new(response)?;
    let read = reader.sequence(|reader| {
        let status = reader.sequence(|reader| {
            let status = u8::decode(reader)?;
            skip_rest(reader)?;
            Ok::<_, der::Error>(status)
        })?;
        let content = if reader.is_finished() { None } else { Some(ContentInfo::decode(reader)?) };
        Ok::<_, der::Error>((status, content))
    })?;
    reader.finish()?;
    Ok(read)
}

/// `eContent` of `SignedData`, if it is time-stamp information.
fn signed_content<'a>(reader: &mut SliceReader<'a>) -> Result<Option<OctetString>, der::Error> {
    let _version = u8::decode(reader)?;
    let _digest_algorithms = AnyRef::decode(reader)?;
    let content = ContentInfo::decode(reader)?;
    skip_rest(reader)?;
    let is_info = content.content_type == TST_INFO;
    is_info.then(|| content.content.decode_as::<OctetString>()).transpose()
}

fn read_info(info: &[u8], digest: &[u8; 32]) -> Result<Answered, TokenError> {
    let mut reader = SliceReader::new(info)?;
    let (policy, imprint, time, answered) = reader.sequence(|reader| {
        let _version = u8::decode(reader)?;
        let policy: ObjectIdentifier = reader.decode()?;
        let imprint = MessageImprint::decode(reader)?;
        let _serial_number = AnyRef::decode(reader)?;
        let time = AnyRef::decode(reader)?;
        // Accuracy, ordering, the service's name and extensions may surround the nonce; only the nonce is a plain
        // integer.
        let mut answered = None;
        while !reader.is_finished() {
            let field = AnyRef::decode(reader)?;
            if field.tag() == Tag::Integer {
                answered = Some(field.decode_as::<UintRef<'_>>()?.as_bytes().to_vec());
            }
        }
        Ok::<_, der::Error>((policy, imprint, time, answered))
    })?;
    reader.finish()?;
    let of_digest =
        imprint.hash_algorithm.algorithm == SHA_256 && imprint.hashed_message.as_bytes() == &digest[..];
    if !of_digest {
        return Err(TokenError::WrongDigest);
    }
    if time.tag() != Tag::GeneralizedTime {
        return Err(malformed("its time is not a GeneralizedTime"));
    }
    let (time, time_ms) = read_time(time.value()).ok_or_else(|| malformed("its time cannot be read"))?;
    Ok((Token { time, time_ms, policy: policy.to_string() }, answered))
}

/// `YYYYMMDDhhmmss[.f…]Z`: the type of the crate refuses the fraction that RFC 3161 allows.
fn read_time(bytes: &[u8]) -> Option<(String, i64)> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |(whole, fraction)| (whole, fraction));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) || text.ends_with('.') || fraction.len() > 9 {
        return None;
    }
    let (date, clock) = whole.split_at(8);
    let seconds = format!(
        "{}-{}-{}T{}:{}:{}",
        date.get(..4)?,
        date.get(4..6)?,
        date.get(6..)?,
        clock.get(..2)?,
        clock.get(2..4)?,
        clock.get(4..)?
    );
    let point = if fraction.is_empty() { "" } else { "." };
    let time = format!("{seconds}{point}{fraction}Z");
    let time_ms = time.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    Some((time, time_ms))
}

fn skip_rest<'a>(reader: &mut impl Reader<'a>) -> Result<(), der::Error> {
    while !reader.is_finished() {
        AnyRef::decode(reader)?;
    }
    Ok(())
}

fn malformed(what: &str) -> TokenError {
    TokenError::Malformed(what.to_owned())
}

impl From<der::Error> for TokenError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `openssl ts -reply` answered to `request(&[7; 32], NONCE)`; its CA was made for this and is gone.
    const ANSWER: &[u8] = include_bytes!("answer.tsr");
    const NONCE: [u8; NONCE_BYTES] = [0, 0x81, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

    #[test]
    fn an_answer_of_openssl_is_read() {
        let token = parse(ANSWER, &[7; 32], NONCE).unwrap();
        assert_eq!(token.policy, "1.2.3.4.1");
        assert!(token.time.ends_with('Z') && token.time_ms > 1_700_000_000_000, "{token:?}");
    }

    #[test]
    fn an_answer_to_another_request_is_refused() {
        assert_eq!(parse(ANSWER, &[8; 32], NONCE), Err(TokenError::WrongDigest));
        assert_eq!(read(ANSWER, &[8; 32]), Err(TokenError::WrongDigest));
        assert_eq!(read(ANSWER, &[7; 32]), parse(ANSWER, &[7; 32], NONCE));
        assert_eq!(parse(ANSWER, &[7; 32], [1; NONCE_BYTES]), Err(TokenError::WrongNonce));
        // TimeStampResp { PKIStatusInfo { 2 rejection } }
        assert_eq!(parse(&[0x30, 5, 0x30, 3, 2, 1, 2], &[7; 32], NONCE), Err(TokenError::Refused(2)));
        let granted_without_token = [0x30, 5, 0x30, 3, 2, 1, 0];
        assert!(matches!(parse(&granted_without_token, &[7; 32], NONCE), Err(TokenError::Malformed(_))));
    }

    #[test]
    fn every_cut_is_refused() {
        for end in 0..ANSWER.len() {
            assert!(read(&ANSWER[..end], &[7; 32]).is_err(), "{end}");
        }
    }

    #[test]
    fn times_with_and_without_a_fraction_are_read() {
        let read = |text: &str| read_time(text.as_bytes());
        assert_eq!(read("20261123013045Z"), Some(("2026-11-23T01:30:45Z".into(), 1_795_397_445_000)));
        assert_eq!(read("20261123013045.25Z").unwrap().1, 1_795_397_445_250);
        for bad in [
            "",
            "Z",
            "20261123013045",
            "20261323013045Z",
            "2026112301304Z",
            "20261123013045.Z",
            "20261123+13045Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes, &[7; 32], NONCE).is_err());
        }

        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = ANSWER.to_vec();
            bytes[at.index(ANSWER.len())] = byte;
            // The change may hit the signature, which is not checked here.
            drop(parse(&bytes, &[7; 32], NONCE));
        }
    }
}
