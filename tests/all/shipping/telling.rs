//! What `sudare-ship` says when a bucket cannot be used, and buckets that are unlike Amazon's.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use sudare_test_kit::needs::find;
use sudare_test_kit::wait_until;

use super::server::Server;
use super::source::{self, Source};
use super::{Shipping, findings};

/// `--once --json` with these variables: whether it succeeded, and the object that it printed all the same.
fn told(shipping: &Shipping<'_>, variables: &[(&str, &str)]) -> (bool, Value) {
    let mut command = shipping.command(&["--once", "--json"]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    let printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    (output.status.success(), printed)
}

fn to_endpoint<'a>(source: &'a Source, endpoint: &str) -> Shipping<'a> {
    Shipping::to_bucket(source, endpoint, "b", None)
}

fn refused(shipping: &Shipping<'_>, variables: &[(&str, &str)], error: &str, words: &str) {
    let (ended, printed) = told(shipping, variables);
    let detail = printed["detail"].as_str().unwrap_or_default();
    assert!(!ended && printed["error"] == error && detail.contains(words), "{words}: {printed}");
}

#[test]
fn each_cause_has_words_of_its_own_also_in_the_object_that_scripts_read() {
    let source = Source::new();
    source::grow(&mut source.recorder(), 1, 0);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    refused(&to_endpoint(&source, &format!("http://{nobody}")), &[], "bucket", "Connection refused");
    let unknown = to_endpoint(&source, "https://no-such-host.invalid");
    refused(&unknown, &[], "bucket", "failed to lookup address information");
    // A file of keys that was written on Windows.
    let windows = to_endpoint(&source, "http://127.0.0.1:1");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"] {
        refused(&windows, &[(name, "test\r")], "variable", name);
    }
    std::fs::write(source.path("log.vkey"), "no line of a key").unwrap();
    refused(&windows, &[], "start", "");
}

/// Ends with its test.
struct Dying(Child);

impl Drop for Dying {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn an_unknown_issuer_is_named_and_variables_say_which_are_known() {
    let Some(openssl) = find("openssl") else { return println!("SKIPPED: no openssl") };
    let source = Source::new();
    source::grow(&mut source.recorder(), 1, 0);
    let made = Command::new(&openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=a bucket of a test",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(source.path(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new(&openssl);
    server.args([
        "s_server",
        "-www",
        "-quiet",
        "-accept",
        &port.to_string(),
        "-cert",
        "cert.pem",
        "-key",
        "key.pem",
    ]);
    let _server = Dying(
        server.current_dir(source.path("")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
    );
    wait_until("openssl to listen", || {
        let there = std::net::TcpStream::connect(("127.0.0.1", port));
        Ok(there.map(drop).map_err(|error| error.to_string()))
    })
    .unwrap();
    let shipping = to_endpoint(&source, &format!("https://localhost:{port}"));
    refused(&shipping, &[], "bucket", "UnknownIssuer");
    // Now it is spoken to, and has no retention to tell of.
    let file = source.path("cert.pem").display().to_string();
    refused(&shipping, &[("SSL_CERT_FILE", &file)], "no-retention", "--allow-unlocked");
    // Folders have names that are hashes in them, as `openssl rehash` makes them; a missing one is no error.
    let folder = source.path("authorities");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(source.path("cert.pem"), folder.join("0a0b0c0d.0")).unwrap();
    let list = format!("/nonexistent/authorities:{}", folder.display());
    refused(&shipping, &[("SSL_CERT_DIR", &list)], "no-retention", "--allow-unlocked");
}

#[test]
fn a_provider_without_locks_is_used_where_that_is_allowed() {
    let Some(mut server) = Server::start() else { return };
    server.make("plain", None, false);
    server.be_odd(&["object-lock", "versioning"], 0);
    let source = Source::new();
    source::grow(&mut source.recorder(), 3, 1);
    let endpoint = server.endpoint().to_owned();
    let shipping = Shipping::to_bucket(&source, &endpoint, "plain", None);
    let (ended, text) = shipping.once(&[]);
    assert!(!ended && text.contains("--allow-unlocked"), "{text}");
    let (ended, text) = shipping.once(&["--allow-unlocked"]);
    assert!(ended, "{text}");
}

#[test]
fn a_bucket_that_throttles_most_uploads_gets_all_of_them() {
    let Some(mut server) = Server::start() else { return };
    server.make("plain", None, false);
    let source = Source::new();
    source::grow(&mut source.recorder(), 30, 20);
    server.be_odd(&[], 2);
    let endpoint = server.endpoint().to_owned();
    let shipping = Shipping::to_bucket(&source, &endpoint, "plain", None);
    let (ended, text) = shipping.once(&["--allow-unlocked"]);
    assert!(ended, "{text}");
    server.be_odd(&[], 0);
    server.download("plain", &source.path("copy"));
    assert_eq!(findings(&source, &source.path("copy/host/one")), [""; 0]);
}
