//! What gates ask and are told: one small packet each, over a socket that keeps packets apart.
//!
//! ```text
//! ask     version(1) kind(1) number(4)                         the answer to it was found out after it came
//! answer  version(1) kind(1) number(4) value(4) errno(4)       number: of the newest ask before it, 0 for none
//! ```
//! Numbers are little-endian. An answer comes without an ask when it differs from the one before it.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

/// Both ends are of one build; another number means that they are not.
pub const VERSION: u8 = 1;
/// An ask.
pub const ASK_BYTES: usize = 6;
/// An answer.
pub const ANSWER_BYTES: usize = 14;

const ASK: u8 = 1;

/// Whose desktop a connection shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nobody's: xrdp asks who is there.
    LoginScreen,
    /// Nobody's yet: somebody is signing in.
    SigningIn,
    /// This user's.
    Session {
        /// The uid of whoever runs the X server.
        uid: u32,
    },
    /// It cannot be told.
    Refused(Refused),
}

/// Why it cannot be told whose desktop it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What is in the way.
    pub why: Why,
    /// What the kernel says of it; 0 if it is not the kernel's refusal.
    pub errno: i32,
}

/// What is in the way of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The kernel, or what limits this service, refuses a look at xrdp's sockets.
    Kernel,
    /// No process of xrdp serves this connection alone.
    NoServer,
    /// Several users' desktops, or several clients.
    Several,
    /// A desktop that is not on this machine, or something unknown.
    Elsewhere,
}

impl Why {
    const ALL: [(Self, u32); 4] =
        [(Self::Kernel, 1), (Self::NoServer, 2), (Self::Several, 3), (Self::Elsewhere, 4)];

    fn number(self) -> u32 {
        match self {
            Self::Kernel => 1,
            Self::NoServer => 2,
            Self::Several => 3,
            Self::Elsewhere => 4,
        }
    }

    /// Two sentences for an administrator: who is at fault, and what to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Kernel => {
                "the kernel or the service's unit refuses a look at xrdp's sockets. Allow pidfd_getfd and \
                 CAP_SYS_PTRACE (container, seccomp), and run `sudare-host doctor`"
            }
            Self::NoServer => {
                "no process of xrdp serves this connection alone. Keep `fork=true` in xrdp.ini and xrdp's program \
                 root's own"
            }
            Self::Several => {
                "xrdp is connected to several desktops or clients at once. Keep `fork=true` in xrdp.ini; otherwise \
                 look who opened sockets in xrdp's place"
            }
            Self::Elsewhere => {
                "xrdp shows a desktop that is not on this machine. Remove such sections from xrdp.ini, or set \
                 `gate_owner = \"policy\"`"
            }
        }
    }
}

/// A packet that the other end of this build never sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet that this version does not know. Restart sudare-owner after an update")]
pub struct Unknown;

/// The packet of an ask.
pub fn ask(number: u32) -> [u8; ASK_BYTES] {
    let mut packet = [VERSION, ASK, 0, 0, 0, 0];
    put(&mut packet, 2, number);
    packet
}

/// The number of an ask.
///
/// # Errors
/// If it is none.
pub fn read_ask(packet: &[u8]) -> Result<u32, Unknown> {
    match packet {
        [VERSION, ASK, a, b, c, d] => Ok(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => Err(Unknown),
    }
}

/// The packet of an answer.
pub fn answer(number: u32, answer: Answer) -> [u8; ANSWER_BYTES] {
    let (kind, value, errno) = match answer {
        Answer::LoginScreen => (1, 0, 0),
        Answer::SigningIn => (2, 0, 0),
        Answer::Session { uid } => (3, uid, 0),
        Answer::Refused(Refused { why, errno }) => (4, why.number(), errno),
    };
    let mut packet = [0; ANSWER_BYTES];
    for (place, byte) in packet.iter_mut().zip([VERSION, kind]) {
        *place = byte;
    }
    put(&mut packet, 2, number);
    put(&mut packet, 6, value);
    put(&mut packet, 10, errno.cast_unsigned());
    packet
}

/// The number of the ask, and the answer.
///
/// # Errors
/// If it is none.
pub fn read_answer(packet: &[u8]) -> Result<(u32, Answer), Unknown> {
    let [VERSION, kind, rest @ ..] = packet else { return Err(Unknown) };
    let (numbers, rest) = rest.as_chunks::<4>();
    let ([number, value, errno], []) = (numbers, rest) else { return Err(Unknown) };
    let (number, value, errno) =
        (u32::from_le_bytes(*number), u32::from_le_bytes(*value), i32::from_le_bytes(*errno));
    let answer = match (kind, value, errno) {
        (1, 0, 0) => Answer::LoginScreen,
        (2, 0, 0) => Answer::SigningIn,
        (3, uid, 0) => Answer::Session { uid },
        (4, why, errno) => {
            let why = Why::ALL.iter().find(|(_, number)| *number == why).ok_or(Unknown)?.0;
            Answer::Refused(Refused { why, errno })
        }
        _ => return Err(Unknown),
    };
    Ok((number, answer))
}

fn put(packet: &mut [u8], at: usize, number: u32) {
    for (place, byte) in packet.iter_mut().skip(at).zip(number.to_le_bytes()) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answers() -> impl Strategy<Value = Answer> {
        let why = prop::sample::select(Why::ALL.map(|(why, _)| why).to_vec());
        prop_oneof![
            Just(Answer::LoginScreen),
            Just(Answer::SigningIn),
            any::<u32>().prop_map(|uid| Answer::Session { uid }),
            (why, any::<i32>()).prop_map(|(why, errno)| Answer::Refused(Refused { why, errno })),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(number: u32, given in answers()) {
            prop_assert_eq!(read_ask(&ask(number)), Ok(number));
            prop_assert_eq!(read_answer(&answer(number, given)), Ok((number, given)));
        }

        #[test]
        fn any_bytes_are_read_in_one_way_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(number) = read_ask(&bytes) {
                prop_assert_eq!(&ask(number)[..], &bytes[..]);
            }
            if let Ok((number, read)) = read_answer(&bytes) {
                prop_assert_eq!(&answer(number, read)[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn another_version_and_another_length_are_refused() {
        let mut packet = answer(7, Answer::LoginScreen);
        assert_eq!(read_answer(&packet[..ANSWER_BYTES - 1]), Err(Unknown));
        packet[0] = VERSION + 1;
        assert_eq!(read_answer(&packet), Err(Unknown));
        assert_eq!(read_ask(&[VERSION, ASK + 1, 0, 0, 0, 0]), Err(Unknown));
    }

    #[test]
    fn every_reason_says_what_to_do() {
        for (why, number) in Why::ALL {
            assert_eq!(why.number(), number);
            assert!(why.advice().contains(". "), "{why:?}");
        }
    }
}
