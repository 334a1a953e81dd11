//! Why a connection ended: who is at fault, and what to do.
//!
//! However it ends, the desktop is covered before anything else happens, and what the guard has reported is written
//! before the process ends.

use std::io;
use std::time::Duration;

use sudare_protocol::hex;
use sudare_relay::error::{Broken, Fault};

use crate::target::{Pin, Place};

/// The end of a connection.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// Without a word, or after its own goodbye.
    #[error("the client disconnected")]
    ClientLeft,
    /// The same at the other end: a log-off, for example.
    #[error("the host ended the connection")]
    HostLeft,
    /// What the system says of the client's socket, or of TLS on it.
    #[error(
        "the connection to the client failed: {0}. The client ended without a word, or the network failed"
    )]
    Client(#[source] io::Error),
    /// What the system says of the host's.
    #[error("the connection to the host failed: {0}. Look at the log of the RDP server behind the gate")]
    Host(#[source] io::Error),
    /// The relay cannot follow any more.
    #[error("{0}")]
    Broken(#[from] Broken),
    /// Nobody listens at the target.
    #[error("the host at {place} does not answer: {source}. Start its RDP server, or correct `gate_target`")]
    Unreachable { place: Place, source: io::Error },
    /// It is not the host that was meant.
    #[error(
        "the host at {place} shows the certificate {seen}, but {expected} is pinned, so no client was led there. If \
         its certificate was changed on purpose, put the new one into `gate_target`; otherwise somebody is in between",
        seen = hex::hex(seen), expected = hex::hex(expected)
    )]
    WrongPin { place: Place, expected: Pin, seen: Pin },
    /// TLS to the host failed for another reason.
    #[error(
        "TLS to the host at {place} failed: {source}. It must offer TLS 1.2 or 1.3 and a certificate of X.509 v3"
    )]
    HostTls { place: Place, source: io::Error },
    /// CredSSP is not there yet.
    #[error(
        "the host at {0} demands NLA, which the gate cannot give it. Allow TLS without NLA there, and let the gate \
         alone reach it"
    )]
    HostWantsNla(Place),
    /// TLS to the client failed.
    #[error(
        "TLS to the client failed: {0}. It insists on NLA or refused the certificate, or something in between ended it"
    )]
    ClientTls(#[source] io::Error),
    /// Bytes that cannot belong to anything yet.
    #[error("the {0} sent data before TLS began. It is no RDP {0}, or somebody is trying something")]
    Early(sudare_relay::Side),
    /// Too slow to begin.
    #[error("{what} took more than {} s. The client or the host has stopped, or somebody is scanning this port", limit.as_secs())]
    Slow { what: &'static str, limit: Duration },
    /// It does not read what it is sent.
    #[error("the client stopped reading, so nobody knows what its screen shows. Connect again")]
    ClientStalled,
    /// The same of the host.
    #[error("the host stopped reading. Look at the log of the RDP server behind the gate")]
    HostStalled,
    /// The guard's decision.
    #[error("{0}")]
    Advised(String),
    /// Following a redirection is not there yet, and passing it on would lead past the gate.
    #[error(
        "the host wants the client to go to another host, which would lead past the gate. Turn redirection off there"
    )]
    Redirected,
    /// This process has to end.
    #[error("the gate was told to stop")]
    Stopped,
    /// A host that has taken the client and then says nothing.
    #[error(
        "the host has announced no screen for a minute. Look at the log of the RDP server behind the gate"
    )]
    NoScreen,
}

impl Ended {
    /// A frame that one side sent and the relay refuses; codes of the negotiation in words.
    pub(crate) fn broken(broken: Broken, place: &Place) -> Self {
        match broken.fault {
            Fault::Refused(code) if wants_nla(code) => Self::HostWantsNla(place.clone()),
            _ => Self::Broken(broken),
        }
    }

    /// Whether the client may still read a black screen and a goodbye. Otherwise the socket is reset, so that the
    /// kernel forgets what it has not sent yet.
    pub(crate) fn is_polite(&self) -> bool {
        !matches!(self, Self::ClientLeft | Self::Client(_) | Self::ClientStalled | Self::ClientTls(_))
    }
}

/// HYBRID_REQUIRED_BY_SERVER ([MS-RDPBCGR] 2.2.1.2.2).
fn wants_nla(code: u32) -> bool {
    code == 5
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sudare_relay::error::{Side, Stage};

    use super::*;

    #[test]
    fn a_host_that_demands_nla_is_named_and_other_refusals_keep_their_code() {
        let place = Place::Unix(PathBuf::from("/run/x"));
        let refused = |code| Fault::Refused(code).of(Side::Host, Stage::Negotiation);
        let said = Ended::broken(refused(5), &place).to_string();
        assert!(said.contains("unix:/run/x demands NLA"), "{said}");
        let said = Ended::broken(refused(3), &place).to_string();
        assert!(said.contains("the host refuses the negotiation with code 3"), "{said}");
    }

    #[test]
    fn a_wrong_pin_names_both_certificates() {
        let ended =
            Ended::WrongPin { place: Place::Tcp("h:1".into()), expected: [0xAA; 32], seen: [0xBB; 32] };
        let said = ended.to_string();
        assert!(said.contains(&"aa".repeat(32)) && said.contains(&"bb".repeat(32)), "{said}");
    }
}
