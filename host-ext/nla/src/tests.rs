//! Both sides against each other and against `sspi` itself, and against what nobody should send.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sspi::credssp::{ClientMode, ClientState, CredSspClient, CredSspMode, TsRequest};
use sspi::ntlm::NtlmConfig;
use sspi::{AuthIdentity, Username};
use sudare_relay::connect::info::Credential;
use sudare_relay::credssp::packet::{HEADER_BYTES, Proved, ToGate, ToNla, body_length};
use sudare_relay::credssp::request::Request;
use sudare_relay::credssp::{Refusal, der};

use crate::client::{self, Client};
use crate::server::{Admission, Logon, Refused, Server, Step, from_sspi, into_sspi};
use crate::users::{NtHash, User};
use crate::{Attempts, HostCredential, HostLeg, Serving, Users, serve};

const KEY: &[u8] = b"the public key of the gate, of 49 bytes and a few";

/// Admits everybody, and counts.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    admitted: usize,
    succeeded: usize,
    full: bool,
}

impl Admission for Counted {
    fn admit(&mut self, _: &str) -> bool {
        let mut counted = self.0.lock().unwrap();
        counted.admitted += 1;
        !counted.full
    }

    fn succeeded(&mut self, _: &str) {
        self.0.lock().unwrap().succeeded += 1;
    }
}

fn users() -> Users {
    let mut users = Users::default();
    for (name, password) in [("hanako", "word"), ("jiro", "other")] {
        let user = User { name: name.into(), domain: String::new(), hash: NtHash::of(password) };
        users.set(user).unwrap();
    }
    users
}

fn server(counted: &Counted) -> Server {
    Server::new(KEY.to_vec(), users(), NtHash::new([7; 16]), Box::new(counted.clone())).unwrap()
}

/// `sspi`'s client, which delegates what it proves.
struct Theirs(CredSspClient);

impl Theirs {
    fn new(user: &str, password: &str, key: &[u8]) -> Self {
        Self::with(user, password, key, CredSspMode::WithCredentials, 6)
    }

    fn with(user: &str, password: &str, key: &[u8], mode: CredSspMode, version: u32) -> Self {
        let username = Username::new(user, None).unwrap();
        let identity = AuthIdentity { username, password: password.to_owned().into() };
        let ntlm = ClientMode::Ntlm(NtlmConfig::new("pc".into()));
        let spn = "TERMSRV/gate".to_owned();
        let client = CredSspClient::new_with_version(key.to_vec(), identity.into(), mode, version, ntlm, spn);
        Self(client.unwrap())
    }

    fn next(&mut self, reply: Option<&[u8]>) -> Request {
        let request = reply.map_or_else(TsRequest::default, |reply| into_sspi(Request::read(reply).unwrap()));
        match self.0.process(request).resolve_to_result().unwrap() {
            ClientState::ReplyNeeded(request) | ClientState::FinalMessage(request) => from_sspi(request),
        }
    }
}

/// The whole conversation, in which each message of the client may be changed.
fn log_on(
    server: &mut Server,
    client: &mut Theirs,
    mut change: impl FnMut(usize, Request) -> Vec<u8>,
) -> Result<Logon, Refused> {
    let mut reply = None;
    for number in 0..4 {
        let message = change(number, client.next(reply.as_deref()));
        match server.take(&message)? {
            Step::Reply(bytes) => reply = Some(bytes),
            Step::Proved(logon) => return Ok(logon),
        }
    }
    panic!("it never ends");
}

fn plain(user: &str, password: &str) -> Result<Logon, Refused> {
    log_on(&mut server(&Counted::default()), &mut Theirs::new(user, password, KEY), |_, said| said.write())
}

fn why(result: Result<Logon, Refused>) -> Refusal {
    result.map(|_| ()).unwrap_err().why
}

#[test]
fn the_right_password_is_let_in_and_delegated() {
    for user in ["hanako", "HANAKO", "CORP\\Hanako", "hanako@corp.example"] {
        let Logon { user, credential } = plain(user, "word").unwrap();
        assert_eq!((&*user, &*credential.user, credential.password.as_str()), ("hanako", "hanako", "word"));
    }
    assert_eq!(plain("CORP\\hanako", "word").unwrap().credential.domain, "CORP");
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_refused_alike() {
    let denied: Vec<Refused> =
        [("hanako", "Word"), ("saburo", "word"), ("hanako", "other"), ("CORP\\jiro", "word")]
            .into_iter()
            .map(|(user, password)| plain(user, password).map(|_| ()).unwrap_err())
            .collect();
    assert_eq!(denied[0].why, Refusal::LogonDenied);
    assert!(denied.iter().all(|one| *one == denied[0]), "{denied:?}");
    // STATUS_LOGON_FAILURE, which clients have words for.
    assert_eq!(Request::read(&denied[0].last).unwrap().error, Some(0xC000_006D));
}

#[test]
fn each_attempt_counts_before_it_is_looked_at() {
    let counted = Counted::default();
    let wrong =
        log_on(&mut server(&counted), &mut Theirs::new("hanako", "Word", KEY), |_, said| said.write());
    assert_eq!(why(wrong), Refusal::LogonDenied);
    let right =
        log_on(&mut server(&counted), &mut Theirs::new("hanako", "word", KEY), |_, said| said.write());
    assert!(right.is_ok());
    let mut counts = counted.0.lock().unwrap();
    assert_eq!((counts.admitted, counts.succeeded), (2, 1));
    counts.full = true;
    drop(counts);
    for (user, password) in [("hanako", "word"), ("saburo", "word")] {
        let late =
            log_on(&mut server(&counted), &mut Theirs::new(user, password, KEY), |_, said| said.write());
        assert_eq!(why(late), Refusal::TooMany, "also the right one");
    }
}

#[test]
fn a_relay_with_another_key_is_noticed_by_both() {
    let other = b"the public key of somebody in between, who relays";
    let relayed =
        log_on(&mut server(&Counted::default()), &mut Theirs::new("hanako", "word", other), |_, said| {
            said.write()
        });
    assert_eq!(why(relayed), Refusal::LogonDenied);
    // The host that proves another key than it shows gets no password.
    let credential =
        Credential { domain: String::new(), user: "hanako".into(), password: "word".to_owned().into() };
    let (mut client, first) = Client::begin(other.to_vec(), &credential).unwrap();
    let mut host = server(&Counted::default());
    let Ok(Step::Reply(challenge)) = host.take(&first) else { panic!("a challenge") };
    let Ok(client::Step::Reply(proof)) = client.take(&challenge) else { panic!("a proof") };
    assert_eq!(host.take(&proof).unwrap_err().why, Refusal::LogonDenied);
}

#[test]
fn modes_without_a_password_old_clients_and_kerberos_are_refused_in_words() {
    let of = |mode, version| {
        let mut client = Theirs::with("hanako", "word", KEY, mode, version);
        why(log_on(&mut server(&Counted::default()), &mut client, |_, said| said.write()))
    };
    assert_eq!(of(CredSspMode::CredentialLess, 6), Refusal::NoPassword);
    for version in 2..5 {
        assert_eq!(of(CredSspMode::WithCredentials, version), Refusal::OldClient);
    }
    let spnego = Request { version: 6, token: Some(vec![0x60, 2, 6, 0]), ..Request::default() };
    let refused = server(&Counted::default()).take(&spnego.write()).unwrap_err();
    assert_eq!(refused.why, Refusal::NotNtlm);
}

#[test]
fn a_replayed_message_is_of_no_use() {
    // What one connection said is said again on another one.
    let mut said = Vec::new();
    let mut first = Theirs::new("hanako", "word", KEY);
    log_on(&mut server(&Counted::default()), &mut first, |_, request| {
        said.push(request.write());
        request.write()
    })
    .unwrap();
    let mut second = server(&Counted::default());
    second.take(&said[0]).unwrap();
    assert_eq!(second.take(&said[1]).unwrap_err().why, Refusal::LogonDenied);
    assert_eq!(second.take(&said[2]).unwrap_err().why, Refusal::Malformed, "nothing is taken any more");
}

#[test]
fn what_comes_out_of_turn_is_refused() {
    type Change = fn(usize, Request) -> Request;
    let changes: [Change; 8] = [
        |number, said| if number == 0 { Request { public_key: Some(vec![0; 40]), ..said } } else { said },
        |number, said| if number == 0 { Request { token: None, ..said } } else { said },
        |number, said| if number == 1 { Request { public_key: None, ..said } } else { said },
        |number, said| if number == 1 { Request { public_key: Some(vec![0; 16]), ..said } } else { said },
        |number, said| if number == 1 { Request { nonce: None, ..said } } else { said },
        |number, said| if number == 1 { Request { version: 5, ..said } } else { said },
        |number, said| if number == 2 { Request { credentials: Some(vec![0; 3]), ..said } } else { said },
        |number, said| if number == 2 { Request { error: Some(1), ..said } } else { said },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut client = Theirs::new("hanako", "word", KEY);
        let refused = log_on(&mut server(&Counted::default()), &mut client, |number, said| {
            change(number, said).write()
        });
        assert_eq!(why(refused), Refusal::Malformed, "{index}");
    }
}

#[test]
fn a_torn_message_is_refused_at_every_byte() {
    for number in 0..3 {
        let mut length = usize::MAX;
        let mut cut = 0;
        while cut < length {
            let mut client = Theirs::new("hanako", "word", KEY);
            let refused = log_on(&mut server(&Counted::default()), &mut client, |at, said| {
                let bytes = said.write();
                if at == number {
                    length = bytes.len();
                    bytes[..cut].to_vec()
                } else {
                    bytes
                }
            });
            assert_eq!(why(refused), Refusal::Malformed, "{number} at {cut}");
            cut += 7;
        }
    }
}

#[test]
fn a_proof_whose_mic_would_not_be_looked_at_is_refused() {
    let mut client = Theirs::new("hanako", "word", KEY);
    let refused = log_on(&mut server(&Counted::default()), &mut client, |number, said| {
        let mut changed = said;
        if number == 1 {
            // NTLMSSP_NEGOTIATE_TARGET_INFO
            changed.token.as_mut().unwrap()[62] ^= 0x80;
        }
        changed.write()
    });
    assert_eq!(why(refused), Refusal::Malformed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Any byte of any message changed: nobody is let in, and nothing panics.
    #[test]
    fn a_changed_message_lets_nobody_in(number in 0..3_usize, at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let mut client = Theirs::new("hanako", "word", KEY);
        let mut changed_field = true;
        let result = log_on(&mut server(&Counted::default()), &mut client, |index, said| {
            let mut bytes = said.write();
            if index == number {
                let at = at.index(bytes.len());
                bytes[at] ^= by;
                // NTLM's first message is bound by nothing but its flags, and the last nonce is not used.
                let read = Request::read(&bytes);
                changed_field = number == 1 || number == 2 && read.is_ok_and(|read| read.credentials != said.credentials);
            }
            bytes
        });
        if changed_field {
            prop_assert!(result.is_err());
        }
    }

    /// Any token in the place of NTLM's.
    #[test]
    fn any_token_is_taken_or_refused(token in prop::collection::vec(any::<u8>(), 0..200), kind in 1..4_u8) {
        let token = [&b"NTLMSSP\0"[..], &[kind, 0, 0, 0], &token].concat();
        let mut server = server(&Counted::default());
        let first = Request { version: 6, token: Some(token), ..Request::default() };
        server.take(&first.write()).ok();
        let mut server = self::server(&Counted::default());
        server.take(&Theirs::new("hanako", "word", KEY).next(None).write()).unwrap();
        let proof = Request { public_key: Some(vec![1; 48]), nonce: Some([2; 32]), ..first };
        prop_assert!(server.take(&proof.write()).is_err());
    }

    /// And for the host's side of us.
    #[test]
    fn any_host_is_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 1..4_u8) {
        let credential = Credential { domain: String::new(), user: "hanako".into(), password: "word".to_owned().into() };
        let token = [&b"NTLMSSP\0"[..], &[kind, 0, 0, 0], &bytes].concat();
        for message in [Request { version: 6, token: Some(token), ..Request::default() }.write(), bytes] {
            let (mut client, _) = Client::begin(KEY.to_vec(), &credential).unwrap();
            if let Ok(client::Step::Reply(_)) = client.take(&message) {
                let key = Request { version: 6, public_key: Some(vec![1; 48]), ..Request::default() };
                prop_assert_eq!(client.take(&key.write()), Err(Refusal::HostNotItself));
            }
        }
    }
}

#[test]
fn our_client_logs_on_to_our_server_and_hears_of_a_refusal() {
    let run = |password: &str| {
        let credential =
            Credential { domain: "CORP".into(), user: "hanako".into(), password: password.to_owned().into() };
        let (mut client, mut said) = Client::begin(KEY.to_vec(), &credential).unwrap();
        let mut host = server(&Counted::default());
        loop {
            let reply = match host.take(&said) {
                Ok(Step::Reply(reply)) => reply,
                Ok(Step::Proved(logon)) => return Ok(logon),
                Err(refused) => return Err(client.take(&refused.last).unwrap_err()),
            };
            said = match client.take(&reply)? {
                client::Step::Reply(bytes) | client::Step::Final(bytes) => bytes,
            };
        }
    };
    assert_eq!(&*run("word").unwrap().credential.password, "word");
    assert_eq!(run("Word").map(|_| ()), Err(Refusal::HostDenied));
}

/// A certificate with this public key, as far as it is read.
fn certificate(key: &[u8]) -> Vec<u8> {
    let sequence = |bytes: &[u8]| der::value(der::SEQUENCE, bytes);
    let bits = der::value(der::BIT_STRING, &[&[0], key].concat());
    let info = sequence(&[sequence(&[]), bits].concat());
    let fields = [der::integer(1), sequence(&[]), sequence(&[]), sequence(&[]), sequence(&[]), info].concat();
    sequence(&sequence(&fields))
}

fn tell(gate: &mut UnixStream, said: &ToNla) {
    std::io::Write::write_all(gate, &said.write()).unwrap();
}

fn heard(gate: &mut UnixStream) -> ToGate {
    let mut header = [0; HEADER_BYTES];
    std::io::Read::read_exact(gate, &mut header).unwrap();
    let mut body = vec![0; body_length(header).unwrap()];
    std::io::Read::read_exact(gate, &mut body).unwrap();
    ToGate::read(header[0], body).unwrap()
}

fn served(host: HostLeg, credential: Option<HostCredential>) -> (UnixStream, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let attempts = Attempts::open(&dir.path().join("attempts")).unwrap();
    let (gate, ours) = UnixStream::pair().unwrap();
    gate.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let serving = Serving { users: users(), attempts, host, credential, refusal_delay: Duration::ZERO };
    std::thread::spawn(move || serve(ours, serving));
    (gate, dir)
}

/// A client that logs on through the conversation with the gate.
fn proved(gate: &mut UnixStream, password: &str) -> Result<Proved, Refusal> {
    tell(gate, &ToNla::Client(certificate(KEY)));
    let mut client = Theirs::new("hanako", password, KEY);
    let mut said = client.next(None);
    loop {
        tell(gate, &ToNla::Said(said.write()));
        match heard(gate) {
            ToGate::Say(reply) => said = client.next(Some(&reply)),
            ToGate::Proved(proved) => return Ok(proved),
            ToGate::Refused(why, _) => return Err(why),
            ToGate::Final(_) => panic!("there is no host yet"),
        }
    }
}

#[test]
fn the_gate_gets_the_password_only_where_it_has_to_write_it() {
    let (mut gate, _dir) = served(HostLeg::Tls, None);
    assert_eq!(&*proved(&mut gate, "word").unwrap().logon.password, "word");
    let (mut gate, _dir) = served(HostLeg::Tls, None);
    assert_eq!(proved(&mut gate, "Word").map(|_| ()), Err(Refusal::LogonDenied));

    let desk = HostCredential::read("user = \"desk\"\npassword = \"one\"").unwrap();
    let (mut gate, _dir) = served(HostLeg::Nla, Some(desk));
    let Proved { user, logon } = proved(&mut gate, "word").unwrap();
    assert_eq!((&*user, &*logon.user, logon.password.as_str()), ("hanako", "desk", ""));
    // The host knows that credential, and not the user's.
    let mut known = Users::default();
    known.set(User { name: "desk".into(), domain: String::new(), hash: NtHash::of("one") }).unwrap();
    let counted = Box::new(Counted::default());
    let mut host = Server::new(KEY.to_vec(), known, NtHash::new([1; 16]), counted).unwrap();
    tell(&mut gate, &ToNla::Host(certificate(KEY)));
    loop {
        match heard(&mut gate) {
            ToGate::Say(said) => {
                let Step::Reply(reply) = host.take(&said).unwrap() else { panic!("its last word says so") };
                tell(&mut gate, &ToNla::Said(reply));
            }
            ToGate::Final(last) => {
                let Step::Proved(logon) = host.take(&last).unwrap() else { panic!("it is the last") };
                break assert_eq!((&*logon.user, logon.credential.password.as_str()), ("desk", "one"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn packets_out_of_turn_end_the_conversation() {
    let (mut gate, _dir) = served(HostLeg::Tls, None);
    tell(&mut gate, &ToNla::Said(vec![1]));
    assert_eq!(std::io::Read::read(&mut gate, &mut [0]).unwrap(), 0);
    let (mut gate, _dir) = served(HostLeg::Tls, None);
    std::io::Write::write_all(&mut gate, &[1, 0xFF, 0xFF, 0xFF, 0xFF]).unwrap();
    assert_eq!(std::io::Read::read(&mut gate, &mut [0]).unwrap(), 0);
}
