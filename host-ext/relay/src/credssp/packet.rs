//! What the gate and `sudare-nla` say to each other over a socket of their own: a kind, a length, a body.
//!
//! ```text
//!  gate ── Client { the gate's certificate } ──► nla      then TSRequests of the client, both ways
//!       ◄── Proved { user, logon } | Refused ─── nla
//!  gate ── Host { the host's certificate } ────► nla      then TSRequests of the host, both ways
//!       ◄── Final { the last TSRequest } ─────── nla      and it ends
//! ```
//! Both are ours, but each reads as if the other were not: one reads what strangers send, the other holds passwords.

use std::fmt;

use super::request::REQUEST_MAX_BYTES;
use crate::connect::info::Credential;

/// Kind and length.
pub const HEADER_BYTES: usize = 5;
/// A TSRequest, or a certificate.
pub const BODY_MAX_BYTES: usize = REQUEST_MAX_BYTES;
/// Name, domain or password in UTF-8; Client Info takes 512 bytes of each in UTF-16.
pub const TEXT_MAX_BYTES: usize = 1024;

/// It does not belong to this conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gate and sudare-nla do not understand each other. Install both from one release")]
pub struct Misunderstood;

/// What the gate says.
#[derive(Clone, PartialEq, Eq)]
pub enum ToNla {
    /// A client is behind TLS, which was shown this certificate.
    Client(Vec<u8>),
    /// A TSRequest of whom it is about.
    Said(Vec<u8>),
    /// The host is behind TLS, and has shown this certificate.
    Host(Vec<u8>),
}

/// What `sudare-nla` says.
#[derive(Clone, PartialEq, Eq)]
pub enum ToGate {
    /// A TSRequest for whom it is about.
    Say(Vec<u8>),
    /// The client is this user.
    Proved(Proved),
    /// It ends here: why, and a last TSRequest for the client, if one helps.
    Refused(Refusal, Vec<u8>),
    /// The last TSRequest for the host.
    Final(Vec<u8>),
}

/// Who a client is.
#[derive(Clone, PartialEq, Eq)]
pub struct Proved {
    /// As the file of users writes it.
    pub user: String,
    /// What goes into Client Info.
    pub logon: Credential,
}

impl fmt::Debug for ToNla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Self::Client(bytes) => ("Client", bytes),
            Self::Said(bytes) => ("Said", bytes),
            Self::Host(bytes) => ("Host", bytes),
        };
        write!(f, "{kind}({} bytes)", bytes.len())
    }
}

impl fmt::Debug for ToGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Say(bytes) => write!(f, "Say({} bytes)", bytes.len()),
            Self::Proved(_) => f.write_str("Proved"),
            Self::Refused(why, _) => write!(f, "Refused({why:?})"),
            Self::Final(bytes) => write!(f, "Final({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for Proved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proved")
    }
}

macro_rules! refusals {
    ($($number:literal $name:ident $words:literal;)*) => {
        /// Why there is no log-on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refusal {
            $(#[doc = $words] $name,)*
        }

        impl Refusal {
            fn number(self) -> u8 {
                match self { $(Self::$name => $number,)* }
            }

            fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Who is at fault and what to do.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

refusals! {
    1 LogonDenied "a user name or password was wrong, so the client was not led to the host. If it was right, add the user with `sudare-nla add`";
    2 TooMany "too many wrong passwords were sent for this user name, so it has to wait for some minutes. If it goes on, somebody is trying passwords";
    3 NoPassword "the client gave no password, as Restricted Admin and Remote Credential Guard do. Turn them off there: the gate has to log on";
    4 OldClient "the client speaks CredSSP before version 5, which can be led astray (CVE-2018-0886). Update it";
    5 Malformed "the client sent something else than CredSSP. It is no RDP client, or somebody is trying something";
    6 NotNtlm "the client offers no NTLM, and the gate knows no Kerberos. Allow NTLM to this gate there";
    7 OtherCredential "the client proved to be one user and then gave the password of another. Somebody is trying something";
    8 HashAsPassword "the client sent a password that begins like a hash of one. Choose another password";
    9 HostDenied "the host does not take this user name and password. Add the user there, or correct `gate_host_credential`";
    10 HostMalformed "the host sent something else than CredSSP. Look at the log of the RDP server behind the gate";
    11 HostNotItself "the host proved another key than its certificate's, so no password was given to it. Somebody is in between";
    12 Internal "CredSSP failed in sudare-nla itself. Report this with the journal";
}

/// How long the body is that this header begins.
///
/// # Errors
/// If it is longer than any.
pub fn body_length(header: [u8; HEADER_BYTES]) -> Result<usize, Misunderstood> {
    let [_, a, b, c, d] = header;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(|_| Misunderstood)?;
    if length > BODY_MAX_BYTES + TEXT_MAX_BYTES * 4 { Err(Misunderstood) } else { Ok(length) }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&[kind][..], &length.to_le_bytes(), body].concat()
}

impl ToNla {
    /// As bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Client(certificate) => packet(1, certificate),
            Self::Said(request) => packet(2, request),
            Self::Host(certificate) => packet(3, certificate),
        }
    }

    /// From the kind and a whole body.
    ///
    /// # Errors
    /// If it is another one.
    pub fn read(kind: u8, body: Vec<u8>) -> Result<Self, Misunderstood> {
        match kind {
            1 => Ok(Self::Client(body)),
            2 => Ok(Self::Said(body)),
            3 => Ok(Self::Host(body)),
            _ => Err(Misunderstood),
        }
    }
}

impl ToGate {
    /// As bytes. May hold a password.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Say(request) => packet(1, request),
            Self::Proved(Proved { user, logon }) => {
                let texts = [user, &logon.domain, &logon.user, &*logon.password];
                let mut body = Vec::with_capacity(TEXT_MAX_BYTES);
                for text in texts {
                    body.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
                    body.extend(text.as_bytes());
                }
                packet(2, &body)
            }
            Self::Refused(why, last) => packet(3, &[&[why.number()][..], last].concat()),
            Self::Final(request) => packet(4, request),
        }
    }

    /// From the kind and a whole body.
    ///
    /// # Errors
    /// If it is another one.
    pub fn read(kind: u8, body: Vec<u8>) -> Result<Self, Misunderstood> {
        match (kind, body.as_slice()) {
            (1, _) => Ok(Self::Say(body)),
            (2, texts) => proved(texts).ok_or(Misunderstood).map(Self::Proved),
            (3, [number, last @ ..]) => {
                let why = Refusal::from_number(*number).ok_or(Misunderstood)?;
                Ok(Self::Refused(why, last.to_vec()))
            }
            (4, _) => Ok(Self::Final(body)),
            _ => Err(Misunderstood),
        }
    }
}

fn proved(bytes: &[u8]) -> Option<Proved> {
    let mut rest = bytes;
    let mut text = || {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (text, behind) = behind.split_at_checked(length).filter(|_| length <= TEXT_MAX_BYTES)?;
        rest = behind;
        std::str::from_utf8(text).ok().map(str::to_owned)
    };
    let (user, domain, name, password) = (text()?, text()?, text()?, text()?);
    let logon = Credential { domain, user: name, password: password.into() };
    rest.is_empty().then_some(Proved { user, logon })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(said: &ToGate) -> Result<ToGate, Misunderstood> {
        let bytes = said.write();
        let (header, body) = bytes.split_first_chunk::<HEADER_BYTES>().unwrap();
        assert_eq!(body_length(*header), Ok(body.len()));
        ToGate::read(header[0], body.to_vec())
    }

    #[test]
    fn each_packet_comes_back() {
        let logon =
            Credential { domain: "CORP".into(), user: "花子".into(), password: "wörd".to_owned().into() };
        let proved = ToGate::Proved(Proved { user: "hanako".into(), logon });
        for said in [
            ToGate::Say(vec![1, 2]),
            proved,
            ToGate::Refused(Refusal::TooMany, vec![7]),
            ToGate::Refused(Refusal::LogonDenied, Vec::new()),
            ToGate::Final(vec![3]),
        ] {
            assert_eq!(back(&said), Ok(said));
        }
        for said in [ToNla::Client(vec![1]), ToNla::Said(vec![2]), ToNla::Host(Vec::new())] {
            let bytes = said.write();
            assert_eq!(ToNla::read(bytes[0], bytes[HEADER_BYTES..].to_vec()), Ok(said));
        }
    }

    #[test]
    fn what_is_cut_or_longer_than_any_is_not_understood() {
        assert_eq!(body_length([1, 0, 0, 2, 0]), Err(Misunderstood));
        for (kind, body) in
            [(0, vec![]), (2, vec![1]), (2, vec![0; 9]), (3, vec![]), (3, vec![99]), (5, vec![])]
        {
            assert_eq!(ToGate::read(kind, body.clone()), Err(Misunderstood), "{kind} {body:?}");
        }
        assert_eq!(ToNla::read(4, Vec::new()), Err(Misunderstood));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let logon =
            Credential { domain: String::new(), user: "hanako".into(), password: "word".to_owned().into() };
        let said = format!("{:?}", ToGate::Proved(Proved { user: "hanako".into(), logon }));
        assert!(!said.contains("word") && !said.contains("hanako"), "{said}");
    }
}
