//! The client proves who it is, and then gives its password ([MS-CSSP] 3.1.5).
//!
//! ```text
//!  client                                    Server
//!  NEGOTIATE ───────────────────────────────► Token
//!  ◄──────────────────────────────── CHALLENGE
//!  AUTHENTICATE, sealed hash of the key ────► Proof    the NT hash verifies both
//!  ◄───────────────── sealed hash of the key
//!  sealed name and password ────────────────► Password it must be the one of the hash
//! ```
//! Exactly three messages, each with the fields that it has and no others; what `sspi` would stumble over (a seal that
//! is shorter than its signature, another version in the middle) never reaches it.
//!
//! Whoever is not in the file is verified with a random hash, so that unknown names and wrong passwords take the same
//! way. NTLM's proof is of the name in it; the password that comes last may be with another name, so both are compared,
//! and the password with the hash.

use std::sync::{Arc, Mutex, PoisonError};

use sspi::credssp::{CredSspServer, CredentialsProxy, ServerMode, ServerState, TsRequest};
use sspi::ntlm::{NTLM_HASH_PREFIX, NtlmConfig};
use sspi::{AuthIdentity, Username, UsernameParts};
use sudare_relay::connect::info::Credential;
use sudare_relay::credssp::Refusal;
use sudare_relay::credssp::request::Request;
use zeroize::Zeroizing;

use crate::users::{NtHash, User, Users, same};

/// What we speak.
pub(crate) const VERSION: u32 = 6;
/// Before it, the proof of the key can be reflected (CVE-2018-0886).
pub(crate) const VERSION_MIN: u32 = 5;
/// Of NTLM, in front of what it seals.
const SIGNATURE_BYTES: usize = 16;
const NTLM_SIGNATURE: &[u8] = b"NTLMSSP\0";
/// Where AUTHENTICATE has its flags ([MS-NLMP] 2.2.1.3), and the one without which `sspi` looks for no MIC: the code
/// that binds all three messages.
const FLAGS_AT: usize = 60;
const TARGET_INFO: u32 = 0x0080_0000;
/// NTSTATUS, for the client's own words.
const LOGON_FAILURE: u32 = 0xC000_006D;
const ACCOUNT_RESTRICTION: u32 = 0xC000_006E;
const ACCOUNT_LOCKED_OUT: u32 = 0xC000_0234;
/// What the client is told the gate is called.
const WORKSTATION: &str = "gate";

/// What comes of a message.
#[derive(Debug)]
pub enum Step {
    /// An answer.
    Reply(Vec<u8>),
    /// The client is this user.
    Proved(Logon),
}

/// Who has logged on.
#[derive(Debug)]
pub struct Logon {
    /// As the file writes it.
    pub user: String,
    /// As the client writes it.
    pub credential: Credential,
}

/// A client that is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Refusal,
    /// The last message for it; empty if it expects none any more.
    pub last: Vec<u8>,
}

impl Refused {
    pub(crate) fn saying(why: Refusal) -> Self {
        let error = match why {
            Refusal::NoPassword => ACCOUNT_RESTRICTION,
            Refusal::TooMany => ACCOUNT_LOCKED_OUT,
            _ => LOGON_FAILURE,
        };
        Self { why, last: Request { version: VERSION, error: Some(error), ..Request::default() }.write() }
    }
}

/// Asked before a proof is looked at, with the name in it: whether it may be.
pub trait Admission: Send {
    /// A name may be tried, and this counts as a failure until [`Server`] says otherwise.
    fn admit(&mut self, name: &str) -> bool;
    /// It was no failure.
    fn succeeded(&mut self, name: &str);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Token,
    Proof,
    Password,
    Ended,
}

/// The server's side of one connection.
pub struct Server {
    sspi: CredSspServer<Lookup>,
    shared: Arc<Mutex<Shared>>,
    stage: Stage,
    version: u32,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({:?})", self.stage)
    }
}

impl Server {
    /// Of a server with this public key. `decoy` is as secret as a hash.
    ///
    /// # Errors
    /// If `sspi` cannot begin.
    pub fn new(
        public_key: Vec<u8>,
        users: Users,
        decoy: NtHash,
        admission: Box<dyn Admission>,
    ) -> Result<Self, Refused> {
        let shared = Arc::new(Mutex::new(Shared { users, decoy, admission, asked: None }));
        let mode = ServerMode::Ntlm(NtlmConfig::new(WORKSTATION.to_owned()));
        let sspi = CredSspServer::new(public_key, Lookup(Arc::clone(&shared)), mode);
        let sspi = sspi.map_err(|_| Refused::saying(Refusal::Internal))?;
        Ok(Self { sspi, shared, stage: Stage::Token, version: 0 })
    }

    /// Takes the client's next message.
    ///
    /// # Errors
    /// If the client is refused; nothing more may be taken then.
    pub fn take(&mut self, message: &[u8]) -> Result<Step, Refused> {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let taken = self.step(stage, message);
        if stage == Stage::Password {
            // It expects nothing more of CredSSP.
            return taken.map_err(|refused| Refused { last: Vec::new(), ..refused });
        }
        taken
    }

    fn step(&mut self, stage: Stage, message: &[u8]) -> Result<Step, Refused> {
        let request = Request::read(message).map_err(|_| Refused::saying(Refusal::Malformed))?;
        self.shape(stage, &request).map_err(Refused::saying)?;
        self.version = request.version;
        let state = self.sspi.process(into_sspi(request)).resolve_to_result();
        match (stage, state) {
            (Stage::Token, Ok(ServerState::ReplyNeeded(reply))) => {
                self.stage = Stage::Proof;
                Ok(Step::Reply(from_sspi(reply).write()))
            }
            (Stage::Proof, Ok(ServerState::ReplyNeeded(reply))) => self.proved(reply),
            (Stage::Password, Ok(ServerState::Finished(identity))) => {
                self.finished(&identity).map(Step::Proved).map_err(Refused::saying)
            }
            (Stage::Proof, Err(_)) => Err(Refused::saying(self.why_no_proof())),
            _ => Err(Refused::saying(Refusal::Malformed)),
        }
    }

    /// Which fields a message has.
    fn shape(&self, stage: Stage, request: &Request) -> Result<(), Refusal> {
        let Request { version, token, credentials, public_key, error, nonce } = request;
        if *version < VERSION_MIN {
            return Err(Refusal::OldClient);
        }
        let sealed =
            |field: &Option<Vec<u8>>| field.as_ref().is_some_and(|seal| seal.len() > SIGNATURE_BYTES);
        let fields = (token.is_some(), public_key.is_some(), credentials.is_some());
        let fits = match stage {
            Stage::Token => fields == (true, false, false),
            Stage::Proof => fields == (true, true, false) && sealed(public_key) && nonce.is_some(),
            Stage::Password => fields == (false, false, true) && sealed(credentials),
            Stage::Ended => false,
        };
        let again = stage == Stage::Token || *version == self.version;
        if !fits || !again || error.is_some() {
            return Err(Refusal::Malformed);
        }
        match token {
            Some(token) if !token.starts_with(NTLM_SIGNATURE) => Err(Refusal::NotNtlm),
            Some(token) if stage == Stage::Proof && !has_mic(token) => Err(Refusal::Malformed),
            _ => Ok(()),
        }
    }

    fn proved(&mut self, reply: TsRequest) -> Result<Step, Refused> {
        let mut shared = lock(&self.shared);
        match shared.asked.clone() {
            Some(Asked { user: Some(_), name, admitted: true }) => {
                shared.admission.succeeded(&name);
                self.stage = Stage::Password;
                Ok(Step::Reply(from_sspi(reply).write()))
            }
            // Nobody guesses a random hash; but a proof of nobody is none.
            _ => Err(Refused::saying(Refusal::LogonDenied)),
        }
    }

    fn why_no_proof(&self) -> Refusal {
        match &lock(&self.shared).asked {
            Some(Asked { admitted: false, .. }) => Refusal::TooMany,
            _ => Refusal::LogonDenied,
        }
    }

    fn finished(&self, identity: &AuthIdentity) -> Result<Logon, Refusal> {
        let shared = lock(&self.shared);
        let Some(Asked { user: Some(user), .. }) = &shared.asked else { return Err(Refusal::Internal) };
        let password: &str = identity.password.as_ref();
        let (name, domain) = parts(&identity.username);
        if password.is_empty() || name.is_empty() {
            return Err(Refusal::NoPassword);
        }
        if password.starts_with(NTLM_HASH_PREFIX) {
            return Err(Refusal::HashAsPassword);
        }
        if !same(name, &user.name) || !NtHash::of(password).is(&user.hash) {
            return Err(Refusal::OtherCredential);
        }
        let credential = Credential {
            domain: domain.to_owned(),
            user: user.name.clone(),
            password: Zeroizing::new(password.to_owned()),
        };
        Ok(Logon { user: user.name.clone(), credential })
    }
}

fn has_mic(authenticate: &[u8]) -> bool {
    let flags = authenticate.get(FLAGS_AT..).and_then(|rest| rest.first_chunk());
    flags.is_some_and(|flags| u32::from_le_bytes(*flags) & TARGET_INFO != 0)
}

/// What the lookup and the server both know.
struct Shared {
    users: Users,
    decoy: NtHash,
    admission: Box<dyn Admission>,
    asked: Option<Asked>,
}

#[derive(Clone)]
struct Asked {
    /// As the client writes it.
    name: String,
    user: Option<User>,
    admitted: bool,
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives NTLM the hash that a name is verified with.
struct Lookup(Arc<Mutex<Shared>>);

impl CredentialsProxy for Lookup {
    type AuthenticationData = AuthIdentity;

    fn auth_data_by_user(&mut self, username: &Username) -> std::io::Result<AuthIdentity> {
        let mut shared = lock(&self.0);
        let (name, domain) = parts(username);
        let admitted = shared.admission.admit(name);
        let user = shared.users.find(name, domain).cloned();
        let hash = match &user {
            Some(user) if admitted => user.hash.hex(),
            _ => shared.decoy.hex(),
        };
        let password = format!("{NTLM_HASH_PREFIX}{}", *hash);
        shared.asked = Some(Asked { name: name.to_owned(), user: user.filter(|_| admitted), admitted });
        Ok(AuthIdentity { username: username.clone(), password: password.into() })
    }

    fn auth_data(&mut self) -> std::io::Result<Vec<AuthIdentity>> {
        Err(std::io::Error::other("only one user is asked for here"))
    }
}

fn parts(username: &Username) -> (&str, &str) {
    match username.parts() {
        UsernameParts::UserPrincipalName(parts) => (parts.account_name(), parts.suffix()),
        UsernameParts::DownLevelLogonName(parts) => {
            (parts.account_name(), parts.netbios_domain().unwrap_or_default())
        }
    }
}

pub(crate) fn into_sspi(request: Request) -> TsRequest {
    let Request { version, token, credentials, public_key, error: _, nonce } = request;
    TsRequest {
        version,
        nego_tokens: token,
        auth_info: credentials,
        pub_key_auth: public_key,
        error_code: None,
        client_nonce: nonce,
    }
}

pub(crate) fn from_sspi(request: TsRequest) -> Request {
    let TsRequest { version, nego_tokens, auth_info, pub_key_auth, error_code, client_nonce } = request;
    Request {
        version,
        token: nego_tokens,
        credentials: auth_info,
        public_key: pub_key_auth,
        error: error_code.map(|code| code.0),
        nonce: client_nonce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Everybody;

    impl Admission for Everybody {
        fn admit(&mut self, _: &str) -> bool {
            true
        }

        fn succeeded(&mut self, _: &str) {}
    }

    /// What comes of this password with this name, after the proof to be hanako.
    fn delegated(name: &str, password: &str) -> Result<Credential, Refusal> {
        let user = User { name: "hanako".into(), domain: String::new(), hash: NtHash::of("word") };
        let server =
            Server::new(vec![1], Users::default(), NtHash::new([0; 16]), Box::new(Everybody)).unwrap();
        lock(&server.shared).asked = Some(Asked { name: "hanako".into(), user: Some(user), admitted: true });
        let username = Username::parse(name).unwrap();
        let identity = AuthIdentity { username, password: password.to_owned().into() };
        server.finished(&identity).map(|logon| logon.credential)
    }

    #[test]
    fn what_is_delegated_must_be_what_was_proved() {
        assert_eq!(delegated("CORP\\Hanako", "word").map(|said| said.user), Ok("hanako".to_owned()));
        for (name, password, why) in [
            ("jiro", "word", Refusal::OtherCredential),
            ("hanako", "Word", Refusal::OtherCredential),
            ("hanako", "", Refusal::NoPassword),
            ("", "word", Refusal::NoPassword),
            ("hanako", "$NTLM$:e192a35d1e872b6e9b256e5ccab41457", Refusal::HashAsPassword),
        ] {
            assert_eq!(delegated(name, password), Err(why), "{name} {password}");
        }
    }
}
