use sudare_protocol::error::Code;
use sudare_protocol::host::ClientNews;
use sudare_protocol::light::{Check, Light, MEASURE_MS};
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::{SigningKey, keyfile};

use super::*;
use crate::presence::{CameraView, FaceSeen, Who};
use crate::testing::{Host, NOW_MS, WALL_MS, device_key, organisation_key};

fn client_setup() -> Setup {
    Setup {
        organisation: Some(organisation_key().verifying_key()),
        pairing: None,
        withdrawal: None,
        consents: vec![],
        device_key: device_key(),
        device_id: keyfile::device_id(&device_key().verifying_key()),
        boot_id: [0xb1; 16],
        software: "test".into(),
        models: vec![],
        tls_cert_sha256: None,
        tls_exporter: None,
        wall_ms: WALL_MS,
    }
}

fn client_fresh() -> Fresh {
    Fresh { nonce: [0x20; 32], template_secret: [0x21; 32], enrol_secret: [0x22; 32] }
}

/// A selector with everything it asked for.
#[derive(Default)]
struct Client {
    selector: ChannelSelector,
    out: Vec<Output>,
}

impl Client {
    fn open(&mut self, id: ChannelId) {
        self.selector.opened(id, client_setup(), client_fresh(), NOW_MS, &mut self.out);
    }

    fn bytes(&mut self, id: ChannelId, bytes: &[u8]) {
        self.selector.bytes(id, bytes, &mut self.out);
    }

    /// What is to be put on a channel.
    fn sent(&mut self, to: ChannelId) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.out.retain(|output| match output {
            Output::Send(id, part) if *id == to => {
                bytes.extend_from_slice(part);
                false
            }
            _ => true,
        });
        bytes
    }

    fn connect(&mut self, id: ChannelId, host_id: &str) -> Host {
        self.open(id);
        let (mut host, hello) = Host::new(host_id, u8::try_from(id).unwrap());
        self.bytes(id, &hello);
        let ready = host.take(&self.sent(id)).unwrap();
        self.bytes(id, &ready);
        host
    }

    fn live_id(&self) -> Option<ChannelId> {
        self.selector.live.as_ref().map(|live| live.id)
    }

    fn closed(&self) -> Vec<ChannelId> {
        self.out.iter().filter_map(|o| if let Output::Close(id) = o { Some(*id) } else { None }).collect()
    }

    fn look(&mut self, t_ms: u64) {
        let face = FaceSeen::near(0, Who::Operator);
        let seen = Observation::new(t_ms, CameraView::Clear, vec![face]);
        self.selector.observe(&seen, t_ms, [0; 16], &mut self.out);
    }
}

#[test]
fn liars_beside_the_host_are_closed_and_disturb_nothing() {
    let mut client = Client::default();
    let mut host = client.connect(1, "vdi-1");
    assert_eq!(client.live_id(), Some(1));
    client.out.clear();

    client.open(2);
    client.bytes(2, b"\0\0\0\x04lies");
    client.open(3);
    let (_, hello) = Host::signed_by(&SigningKey::from_bytes(&[66; 32]), "vdi-1", 3);
    client.bytes(3, &hello);
    // The host's own HELLO, played again: without its key nothing can follow.
    client.open(4);
    let (_, hello) = Host::new("vdi-1", 4);
    client.bytes(4, &hello);
    client.bytes(4, &hello);
    let refused: Vec<_> = client
        .out
        .iter()
        .filter_map(|a| {
            if let Output::Tell(Event::Refused { refusal, live }) = a {
                Some((refusal.code, *live))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(refused, [(Code::Malformed, false), (Code::HostUnknown, false), (Code::Signature, false)]);
    assert_eq!((client.closed(), client.live_id()), (vec![2, 3, 4], Some(1)));
    assert!(client.selector.pending.is_empty());

    client.sent(1);
    client.look(NOW_MS);
    host.take(&client.sent(1));
    assert!(matches!(host.news.as_slice(), [ClientNews::Attested { .. }]), "{:?}", host.news);
}

#[test]
fn a_silent_channel_is_closed_in_time_and_there_are_never_many() {
    let mut client = Client::default();
    for id in 0..PENDING_MAX as u64 + 2 {
        client.open(id);
    }
    assert_eq!((client.closed(), client.selector.pending.len()), (vec![0, 1], PENDING_MAX));
    client.selector.tick(NOW_MS + HANDSHAKE_MAX_MS, [0; 16], &mut client.out);
    assert_eq!(client.selector.pending.len(), PENDING_MAX);
    client.selector.tick(NOW_MS + HANDSHAKE_MAX_MS + 1, [0; 16], &mut client.out);
    assert_eq!((client.closed().len(), client.selector.pending.len()), (PENDING_MAX + 2, 0));
}

#[test]
fn the_same_host_replaces_its_old_channel_and_another_host_does_not() {
    let mut client = Client::default();
    client.connect(1, "vdi-1");
    client.connect(2, "vdi-2");
    assert_eq!((client.live_id(), client.closed()), (Some(1), vec![2]));
    client.connect(3, "vdi-1");
    assert_eq!((client.live_id(), client.closed()), (Some(3), vec![2, 1]));
    let order: Vec<_> = client
        .out
        .iter()
        .filter_map(|output| match output {
            Output::Ended { host_id, .. } => Some(host_id.as_str()),
            Output::Tell(Event::Ready { .. }) => Some("ready"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["ready", "vdi-1", "ready"], "the old one is over before the new one begins");
    client.selector.closed(3, &mut client.out);
    client.connect(4, "vdi-2");
    assert_eq!(client.live_id(), Some(4), "when none is live, any host of the organisation may be");
}

#[test]
fn a_host_that_breaks_the_protocol_in_the_same_bytes_as_it_proves_itself_is_closed() {
    let mut client = Client::default();
    client.open(1);
    let (mut host, hello) = Host::new("vdi-1", 1);
    client.bytes(1, &hello);
    let ready = host.take(&client.sent(1)).unwrap();
    client.bytes(1, &[ready.as_slice(), b"\0\0\0\x04lies"].concat());
    assert_eq!((client.live_id(), client.closed()), (None, vec![1]));
    assert!(matches!(client.out.last(), Some(Output::Ended { .. })), "{:?}", client.out);
}

#[test]
fn a_check_is_answered_when_its_time_is_over_and_changes_no_decision() {
    let mut client = Client::default();
    let mut host = client.connect(1, "vdi-1");
    client.sent(1);
    let light = Light { id: 5, check: Check::Light.number(), duration_ms: MEASURE_MS };
    let asked = host.live.as_mut().unwrap().light(&light).unwrap();
    client.bytes(1, &asked);
    let later = Light { id: 6, check: 77, ..light };
    for t_ms in (NOW_MS..NOW_MS + u64::from(MEASURE_MS)).step_by(100) {
        client.selector.tick(t_ms, [0; 16], &mut client.out);
        client.look(t_ms);
    }
    host.take(&client.sent(1));
    let is_lit = |news: &ClientNews| matches!(news, ClientNews::Lit(lit) if lit.id == 5);
    assert!(!host.news.iter().any(is_lit), "not before");
    client.selector.tick(NOW_MS + u64::from(MEASURE_MS), [0; 16], &mut client.out);
    host.take(&client.sent(1));
    assert_eq!(host.news.iter().filter(|news| is_lit(news)).count(), 1);
    assert!(!client.selector.covers_own(), "an operator who is alone is shown all the same");
    // A check of a later version is passed over in silence.
    let asked = host.live.as_mut().unwrap().light(&later).unwrap();
    client.bytes(1, &asked);
    client.selector.tick(NOW_MS + 60_000, [0; 16], &mut client.out);
    host.news.clear();
    host.take(&client.sent(1));
    assert!(!host.news.iter().any(|news| matches!(news, ClientNews::Lit(_))));
}

#[test]
fn a_break_turns_the_camera_off_and_goes_on_attesting_a_cover() {
    let mut client = Client::default();
    let mut host = client.connect(1, "vdi-1");
    for t_ms in (NOW_MS..=NOW_MS + 4_000).step_by(100) {
        client.look(t_ms);
    }
    assert!(!client.selector.covers_own());
    host.take(&client.sent(1));
    host.news.clear();

    let status = host.status(Reason::Break);
    client.bytes(1, &status);
    let asked = |out: &[Output]| {
        out.iter().rev().find_map(|o| if let Output::Tell(Event::Break(on)) = o { Some(*on) } else { None })
    };
    assert_eq!(asked(&client.out), Some(true));
    // A look that was under way counts no more, and time alone does not make a lost camera.
    client.look(NOW_MS + 4_100);
    for t_ms in (NOW_MS + 4_200..NOW_MS + 14_000).step_by(50) {
        client.selector.tick(t_ms, [0; 16], &mut client.out);
    }
    host.take(&client.sent(1));
    let attested: Vec<_> = host
        .news
        .iter()
        .filter_map(|n| if let ClientNews::Attested(a) = n { Some(a.attest) } else { None })
        .collect();
    assert!(attested.len() >= 19, "{}", attested.len());
    for attest in &attested {
        assert_eq!((attest.cover, attest.state, attest.reason), (true, State::Absent, Reason::Starting));
        assert_eq!((attest.clear_ms, attest.operator_confirmed_age_ms), (0, u64::MAX));
    }
    assert!(client.selector.covers_own());

    let status = host.status(Reason::Starting);
    client.bytes(1, &status);
    assert_eq!(asked(&client.out), Some(false));
    client.look(NOW_MS + 15_000);
    assert!(client.selector.covers_own(), "what was seen before the break does not hold after it");
    for t_ms in (NOW_MS + 15_100..=NOW_MS + 18_000).step_by(100) {
        client.look(t_ms);
    }
    assert!(!client.selector.covers_own());
}
