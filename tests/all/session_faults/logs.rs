//! What the host writes to its logs names no person and shows no key, no face and no picture.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sudare_guard::transport::LinkEvent;
use sudare_protocol::hex::hex;
use sudare_protocol::keyfile;
use sudare_protocol::reason::Reason;
use sudare_test_kit::pair;

use super::seat::{CAMERA, Host, SCREEN, Seat, USER};

/// Says to a process of this binary that its logs are looked at.
const LIFE: &str = "EVENTFUL_LIFE";
/// Channels that are refused in it.
const REFUSED: usize = 4;

/// The ways in which bytes get into a log: Debug, hex, base64.
fn spellings(bytes: &[u8]) -> [String; 4] {
    let hex = hex(bytes);
    let debug = format!("{bytes:?}");
    let list = debug.trim_matches(['[', ']']).to_owned();
    // Without the last character, which depends on what would follow.
    let base64 = STANDARD.encode(bytes);
    [hex.to_uppercase(), hex, list, base64.trim_end_matches('=')[..bytes.len()].to_owned()]
}

fn secrets() -> Vec<(&'static str, String)> {
    let mut secrets = vec![("user name", USER.to_owned()), ("other user name", "somebody-else".to_owned())];
    for (what, key) in [("host key", pair::host_key()), ("device key", pair::device_key())] {
        secrets.extend(spellings(&key.to_bytes()).map(|text| (what, text)));
        secrets.push((what, keyfile::secret_line(&key).trim().to_owned()));
    }
    secrets.extend(spellings(&[4; 32]).map(|text| ("log key", text)));
    secrets.extend(spellings(&[9; 32]).map(|text| ("storage key", text)));
    secrets.extend(spellings(&CAMERA[..16]).map(|text| ("camera picture", text)));
    secrets.extend(spellings(&SCREEN.repeat(3)).map(|text| ("screenshot", text)));
    secrets.push(("template", "0.60000".to_owned()));
    secrets.push(("template", "0.7999999".to_owned()));
    secrets
        .extend(spellings(&0.600_000_1_f32.to_le_bytes()).map(|text| ("template", text)).into_iter().take(3));
    secrets
}

/// In a process of its own: other tests of this binary log as well, some of them the pixels of whole
/// screens, in which everything can be found.
#[test]
fn the_logs_hold_nothing_personal_and_nothing_secret() {
    let own = std::env::current_exe().unwrap();
    let life = std::process::Command::new(own)
        .args(["--exact", "session_faults::logs::an_eventful_life", "--nocapture"])
        .env(LIFE, "1")
        .output()
        .unwrap();
    let text = [life.stdout, life.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(life.status.success(), "{text}");
    // The capture works; and who floods a channel that was refused fills no journal.
    assert_eq!(text.matches("the client's channel is refused").count(), REFUSED, "{text}");
    for (what, secret) in secrets() {
        assert!(!text.contains(&secret), "{what} is in the logs:\n{text}");
    }
}

/// The other half of the test above, which runs it.
#[test]
fn an_eventful_life() {
    if std::env::var_os(LIFE).is_none() {
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        // A time of day can look like a number of a template.
        .without_time()
        .init();
    eventful_life();
}

#[test]
fn the_search_finds_what_it_must_not_find() {
    let key = pair::host_key();
    let leaks = [
        format!("user={USER}"),
        format!("key={:?}", key.to_bytes()),
        format!("picture={:?}", &CAMERA[..]),
        format!("screen={:?}", SCREEN.repeat(100)),
        format!("template={:?}", [0.600_000_1_f32, 0.799_999_9]),
        format!("line={}", *keyfile::secret_line(&key)),
    ];
    for leak in leaks {
        assert!(secrets().iter().any(|(_, secret)| leak.contains(secret)), "{leak}");
    }
}

/// A session with all that is usually logged: incidents, pictures, refusals, a revoked device.
fn eventful_life() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    seat.lock_with_picture(&host, Reason::Stranger);
    seat.until("the receipt", |seat| !seat.receipts.is_empty());
    (0..3).for_each(|_| seat.send(b"something else on this channel"));
    seat.link(LinkEvent::Disconnected);
    Seat::connect(&host, "somebody-else").try_open();
    host.registry().revoke(&host.device_id).unwrap();
    Seat::connect(&host, USER).try_open();
    // A damaged record is logged with its error.
    host.damage_templates();
    Seat::connect(&host, USER).try_open();
}
