//! CredSSP on both legs: who gets through, who does not, and what the host hears of it.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use sudare_guard::transport::OwnerRule;
use sudare_nla::server::{Admission, Logon, Server, Step};
use sudare_nla::users::{NtHash, User};
use sudare_nla::{Attempts, HostCredential, HostLeg, Serving, Users};
use sudare_relay::credssp::{Refusal, request};
use sudare_relay::error::{Broken, Fault};
use sudare_relay::policy::protocol;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::timeout;

use super::ends::{Client, Host, PATIENCE, Stage, ended, identity};
use crate::error::Ended;
use crate::nla::{Helper, Helpers};
use crate::target::{Place, Target};

struct Everybody;

impl Admission for Everybody {
    fn admit(&mut self, _: &str) -> bool {
        true
    }

    fn succeeded(&mut self, _: &str) {}
}

fn users(known: &[(&str, &str)]) -> Users {
    let mut users = Users::default();
    for (name, password) in known {
        let user = User { name: (*name).into(), domain: String::new(), hash: NtHash::of(password) };
        users.set(user).unwrap();
    }
    users
}

/// `sudare-nla` as a thread for each connection.
fn helpers(host: HostLeg, credential: Option<&str>) -> (Helpers, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let attempts = folder.path().join("attempts");
    let credential = credential.map(|text| HostCredential::read(text).unwrap());
    let helpers: Helpers = Arc::new(move || {
        let (stream, theirs) = UnixStream::pair()?;
        let serving = Serving {
            users: users(&[("hanako", "word")]),
            attempts: Attempts::open(&attempts).unwrap(),
            host,
            credential: credential.clone(),
            refusal_delay: Duration::ZERO,
        };
        std::thread::spawn(move || sudare_nla::serve(theirs, serving));
        Ok(Helper { stream, child: None })
    });
    (helpers, folder)
}

/// A host that knows these users, for its certificate.
fn host_server(certificate: &[u8], known: &[(&str, &str)]) -> Server {
    let key = sudare_nla::certificate::public_key(certificate).unwrap();
    Server::new(key, users(known), NtHash::new([9; 16]), Box::new(Everybody)).unwrap()
}

/// The server's side of CredSSP on a stream.
pub(crate) async fn log_on<S>(stream: &mut S, server: &mut Server) -> Result<Logon, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut bytes = Vec::new();
        let length = loop {
            match request::length(&bytes).unwrap() {
                Some(length) => break length,
                None => bytes.push(stream.read_u8().await.map_err(|error| error.to_string())?),
            }
        };
        let at = bytes.len();
        bytes.resize(length, 0);
        stream.read_exact(&mut bytes[at..]).await.map_err(|error| error.to_string())?;
        match server.take(&bytes) {
            Ok(Step::Reply(reply)) => stream.write_all(&reply).await.map_err(|error| error.to_string())?,
            Ok(Step::Proved(logon)) => return Ok(logon),
            Err(refused) => {
                stream.write_all(&refused.last).await.ok();
                return Err(format!("{:?}", refused.why));
            }
        }
        stream.flush().await.ok();
    }
}

type Connecting = JoinHandle<Result<Client, String>>;

async fn begin(stage: &Stage, user: &'static str, password: &'static str) -> (Connecting, JoinHandle<Ended>) {
    let client = spawn_local(Client::prove(stage.address, user, password));
    let served = stage.serve().await;
    (client, served)
}

/// Whether anybody has come to the host.
async fn nobody_came(stage: &Stage) -> bool {
    timeout(Duration::from_millis(200), stage.host.accept()).await.is_err()
}

#[tokio::test]
async fn a_proved_user_is_logged_on_inside_tls_with_what_was_delegated() {
    let run = async {
        let (nla, _folder) = helpers(HostLeg::Tls, None);
        let stage = Stage::proving(protocol::TLS, nla).await;
        let (client, served) = begin(&stage, "HANAKO", "word").await;
        let (tcp, _) = stage.host.accept().await.unwrap();
        let (host, said) = Host::accept_with(tcp, &stage.host_identity, None).await.unwrap();
        let said = said.unwrap();
        assert_eq!((&*said.username, &*said.password), ("hanako", "word"));
        let client = client.await.unwrap().unwrap();
        assert_eq!(stage.guard.owner(), (Some("hanako".to_owned()), Some(OwnerRule::Credentials)));
        drop((client, host));
        ended(served).await;
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_wrong_password_ends_before_the_host_hears_of_it() {
    let run = async {
        let (nla, _folder) = helpers(HostLeg::Tls, None);
        let stage = Stage::proving(protocol::TLS, nla).await;
        for (user, password) in [("hanako", "Word"), ("saburo", "word")] {
            let (client, served) = begin(&stage, user, password).await;
            assert!(client.await.unwrap().is_err(), "{user}");
            assert!(matches!(ended(served).await, Ended::Nla(Refusal::LogonDenied)), "{user}");
            assert!(nobody_came(&stage).await, "{user}");
        }
        assert!(stage.guard.told().is_empty());
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_host_with_nla_gets_the_delegated_credential_and_client_info_has_no_password() {
    let run = async {
        let (nla, _folder) = helpers(HostLeg::Nla, None);
        let stage = Stage::proving(protocol::HYBRID, nla).await;
        let (client, _served) = begin(&stage, "hanako", "word").await;
        let (tcp, _) = stage.host.accept().await.unwrap();
        let mut server = host_server(&stage.host_identity.certificate, &[("hanako", "word")]);
        let accepted = Host::accept_with(tcp, &stage.host_identity, Some(&mut server)).await;
        let (mut host, said) = accepted.unwrap();
        assert!(said.is_none(), "Client Info wishes no log-on, since it has no password");
        let mut client = client.await.unwrap().unwrap();
        stage.guard.want(sudare_guard::transport::Action::Uncover);
        host.draw(7, 10).await;
        assert_eq!(client.picture().await, Some(7));
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_host_with_one_password_gets_that_one() {
    let run = async {
        let desk = "user = \"desk\"\npassword = \"one\"";
        let (nla, _folder) = helpers(HostLeg::Nla, Some(desk));
        let stage = Stage::proving(protocol::HYBRID, nla).await;
        let (client, _served) = begin(&stage, "hanako", "word").await;
        let (tcp, _) = stage.host.accept().await.unwrap();
        let mut server = host_server(&stage.host_identity.certificate, &[("desk", "one")]);
        let accepted = Host::accept_with(tcp, &stage.host_identity, Some(&mut server)).await;
        let (_host, said) = accepted.unwrap();
        assert!(said.is_none());
        let _client = client.await.unwrap().unwrap();
        // The desktop belongs to whoever proved to be somebody, not to what the host is told.
        assert_eq!(stage.guard.owner(), (Some("hanako".to_owned()), Some(OwnerRule::Credentials)));
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_host_that_refuses_or_is_not_there_is_told_on_a_black_screen() {
    let run = async {
        let (nla, _folder) = helpers(HostLeg::Nla, None);
        let stage = Stage::proving(protocol::HYBRID, nla).await;
        let (client, served) = begin(&stage, "hanako", "word").await;
        let (tcp, _) = stage.host.accept().await.unwrap();
        let mut server = host_server(&stage.host_identity.certificate, &[("hanako", "another")]);
        let refused = Host::accept_with(tcp, &stage.host_identity, Some(&mut server)).await;
        assert_eq!(refused.err().as_deref(), Some("LogonDenied"));
        let mut client = client.await.unwrap().expect("a session with words");
        assert!(client.frame().await.is_some());
        drop(client);
        assert!(matches!(ended(served).await, Ended::Nla(Refusal::HostDenied)));
        // A host with another protocol than it was asked for.
        let (client, served) = begin(&stage, "hanako", "word").await;
        let (tcp, _) = stage.host.accept().await.unwrap();
        assert!(Host::accept(tcp, &stage.host_identity).await.is_err());
        drop(client.await.unwrap().expect("a session with words"));
        ended(served).await;
        assert!(stage.guard.told().is_empty(), "the guard decides about desktops only");
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn whoever_is_proved_is_led_to_the_own_host() {
    let run = async {
        let (nla, _folder) = helpers(HostLeg::Tls, None);
        let mut stage = Stage::proving(protocol::TLS, nla).await;
        let own = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own_identity, pin) = identity();
        let place = Place::Tcp(own.local_addr().unwrap().to_string());
        stage.lead("Hanako", Target { place, pin: Some(pin) });
        let (client, _served) = begin(&stage, "hanako", "word").await;
        let (tcp, _) = timeout(PATIENCE, own.accept()).await.unwrap().unwrap();
        let _host = Host::accept(tcp, &own_identity).await.unwrap();
        let _client = client.await.unwrap().unwrap();
        assert!(nobody_came(&stage).await, "nobody hears of it at the host for all others");
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_client_without_nla_or_without_a_password_is_refused_with_a_code() {
    let run = async {
        let (nla, _folder) = helpers(HostLeg::Tls, None);
        let stage = Stage::proving(protocol::TLS, nla).await;
        let ask = |flags: u8, protocols: u8| {
            [&[3, 0, 0, 19, 14, 0xE0, 0, 0, 0, 0, 0][..], &[1, flags, 8, 0, protocols, 0, 0, 0]].concat()
        };
        for (request, fault, code) in [
            (ask(0, 1), Fault::NoTls, Some(5)),
            (ask(1, 2), Fault::NoPassword, None),
            (ask(2, 2), Fault::NoPassword, None),
        ] {
            let mut tcp = TcpStream::connect(stage.address).await.unwrap();
            let served = stage.serve().await;
            tcp.write_all(&request).await.unwrap();
            let mut answer = Vec::new();
            timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.unwrap().unwrap();
            assert_eq!(answer.get(15).copied(), code);
            assert!(matches!(ended(served).await, Ended::Broken(Broken { fault: why, .. }) if why == fault));
        }
        assert!(nobody_came(&stage).await);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_process_that_fails_lets_nobody_in() {
    let run = async {
        let gone: Helpers = Arc::new(|| {
            let (stream, _) = UnixStream::pair()?;
            Ok(Helper { stream, child: None })
        });
        let stage = Stage::proving(protocol::TLS, gone).await;
        let (client, served) = begin(&stage, "hanako", "word").await;
        assert!(matches!(ended(served).await, Ended::NlaProgram(_)));
        assert!(client.await.unwrap().is_err() && nobody_came(&stage).await);
    };
    LocalSet::new().run_until(run).await;
}
