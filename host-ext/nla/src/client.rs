//! The host is told who logs on: the client's side of CredSSP.
//!
//! Its last message has the password in it, and is made only after the host has proved the key of its certificate.

use sspi::credssp::{ClientMode, ClientState, CredSspClient, CredSspMode, TsRequest};
use sspi::ntlm::NtlmConfig;
use sspi::{AuthIdentity, Username};
use sudare_relay::connect::info::Credential;
use sudare_relay::credssp::Refusal;
use sudare_relay::credssp::request::Request;

use crate::server::{VERSION_MIN, from_sspi, into_sspi};

const SIGNATURE_BYTES: usize = 16;
const WORKSTATION: &str = "gate";
const SERVICE: &str = "TERMSRV/host";

/// What comes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// An answer.
    Reply(Vec<u8>),
    /// The last answer.
    Final(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Challenge,
    Key,
    Ended,
}

/// The client's side of one connection.
pub struct Client {
    sspi: CredSspClient,
    stage: Stage,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({:?})", self.stage)
    }
}

impl Client {
    /// With the first message for a host with this public key.
    ///
    /// # Errors
    /// If the name cannot be one, or `sspi` cannot begin.
    pub fn begin(public_key: Vec<u8>, credential: &Credential) -> Result<(Self, Vec<u8>), Refusal> {
        let Credential { domain, user, password } = credential;
        let domain = Some(domain.as_str()).filter(|domain| !domain.is_empty());
        let username = Username::new(user, domain).map_err(|_| Refusal::HostDenied)?;
        let identity = AuthIdentity { username, password: password.to_string().into() };
        let mode = ClientMode::Ntlm(NtlmConfig::new(WORKSTATION.to_owned()));
        let sspi = CredSspClient::new(
            public_key,
            identity.into(),
            CredSspMode::WithCredentials,
            mode,
            SERVICE.to_owned(),
        );
        let mut client = Self { sspi: sspi.map_err(|_| Refusal::Internal)?, stage: Stage::Challenge };
        let begun = client.sspi.process(TsRequest::default()).resolve_to_result();
        match begun {
            Ok(ClientState::ReplyNeeded(first)) => Ok((client, from_sspi(first).write())),
            _ => Err(Refusal::Internal),
        }
    }

    /// Takes the host's next message.
    ///
    /// # Errors
    /// If it refuses, or is not the one with that key.
    pub fn take(&mut self, message: &[u8]) -> Result<Step, Refusal> {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let request = Request::read(message).map_err(|_| Refusal::HostMalformed)?;
        if request.error.is_some_and(|error| error != 0) {
            return Err(Refusal::HostDenied);
        }
        if request.version < VERSION_MIN || request.credentials.is_some() {
            return Err(Refusal::HostMalformed);
        }
        let key = request.public_key.as_ref().map(Vec::len);
        let fits = match stage {
            Stage::Challenge => request.token.is_some() && key.is_none(),
            Stage::Key => key.is_some_and(|length| length > SIGNATURE_BYTES),
            Stage::Ended => false,
        };
        if !fits {
            return Err(Refusal::HostMalformed);
        }
        match (stage, self.sspi.process(into_sspi(request)).resolve_to_result()) {
            (Stage::Challenge, Ok(ClientState::ReplyNeeded(reply))) => {
                self.stage = Stage::Key;
                Ok(Step::Reply(from_sspi(reply).write()))
            }
            (Stage::Key, Ok(ClientState::FinalMessage(last))) => Ok(Step::Final(from_sspi(last).write())),
            (Stage::Key, _) => Err(Refusal::HostNotItself),
            _ => Err(Refusal::HostMalformed),
        }
    }
}
