use sudare_protocol::error::Code;
use sudare_protocol::host::ClientNews;
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::{SigningKey, keyfile};

use super::*;
use crate::presence::{CameraView, FaceSeen, Who};
use crate::testing::{Host, NOW_MS, WALL_MS, device_key, organisation_key};

fn client_setup() -> Setup {
    Setup {
        organisation: organisation_key().verifying_key(),
        device_key: device_key(),
        device_id: keyfile::device_id(&device_key().verifying_key()),
        boot_id: [0xb1; 16],
        software: "test".into(),
        models: vec![],
        tls_cert_sha256: None,
        wall_ms: WALL_MS,
    }
}

fn client_fresh() -> Fresh {
    Fresh { nonce: [0x20; 32], template_secret: [0x21; 32] }
}

/// A switch with everything it asked for.
#[derive(Default)]
struct Desk {
    switch: Switch,
    acts: Vec<Act>,
}

impl Desk {
    fn open(&mut self, id: ChannelId) {
        self.switch.opened(id, client_setup(), client_fresh(), NOW_MS, &mut self.acts);
    }

    fn bytes(&mut self, id: ChannelId, bytes: &[u8]) {
        self.switch.bytes(id, bytes, &mut self.acts);
    }

    /// What is to be put on a channel.
    fn sent(&mut self, to: ChannelId) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.acts.retain(|act| match act {
            Act::Send(id, part) if *id == to => {
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
        self.switch.live.as_ref().map(|live| live.id)
    }

    fn closed(&self) -> Vec<ChannelId> {
        self.acts.iter().filter_map(|a| if let Act::Close(id) = a { Some(*id) } else { None }).collect()
    }

    fn look(&mut self, t_ms: u64) {
        let face = FaceSeen { who: Who::Operator, width_share: 0.2, yaw_deg: 0.0 };
        let seen = Observation { t_ms, camera: CameraView::Clear, faces: vec![face] };
        self.switch.observe(&seen, t_ms, [0; 16], &mut self.acts);
    }
}

#[test]
fn liars_beside_the_host_are_closed_and_disturb_nothing() {
    let mut desk = Desk::default();
    let mut host = desk.connect(1, "vdi-1");
    assert_eq!(desk.live_id(), Some(1));
    desk.acts.clear();

    desk.open(2);
    desk.bytes(2, b"\0\0\0\x04lies");
    desk.open(3);
    let (_, hello) = Host::signed_by(&SigningKey::from_bytes(&[66; 32]), "vdi-1", 3);
    desk.bytes(3, &hello);
    // The host's own HELLO, played again: without its key nothing can follow.
    desk.open(4);
    let (_, hello) = Host::new("vdi-1", 4);
    desk.bytes(4, &hello);
    desk.bytes(4, &hello);
    let refused: Vec<_> = desk
        .acts
        .iter()
        .filter_map(
            |a| if let Act::Refused { refusal, live } = a { Some((refusal.code, *live)) } else { None },
        )
        .collect();
    assert_eq!(refused, [(Code::Malformed, false), (Code::HostUnknown, false), (Code::Signature, false)]);
    assert_eq!((desk.closed(), desk.live_id()), (vec![2, 3, 4], Some(1)));
    assert!(desk.switch.pending.is_empty());

    desk.sent(1);
    desk.look(NOW_MS);
    host.take(&desk.sent(1));
    assert!(matches!(host.news.as_slice(), [ClientNews::Attested(_)]), "{:?}", host.news);
}

#[test]
fn a_silent_channel_is_closed_in_time_and_there_are_never_many() {
    let mut desk = Desk::default();
    for id in 0..PENDING_MAX as u64 + 2 {
        desk.open(id);
    }
    assert_eq!((desk.closed(), desk.switch.pending.len()), (vec![0, 1], PENDING_MAX));
    desk.switch.tick(NOW_MS + HANDSHAKE_MAX_MS, [0; 16], &mut desk.acts);
    assert_eq!(desk.switch.pending.len(), PENDING_MAX);
    desk.switch.tick(NOW_MS + HANDSHAKE_MAX_MS + 1, [0; 16], &mut desk.acts);
    assert_eq!((desk.closed().len(), desk.switch.pending.len()), (PENDING_MAX + 2, 0));
}

#[test]
fn the_same_host_replaces_its_old_channel_and_another_host_does_not() {
    let mut desk = Desk::default();
    desk.connect(1, "vdi-1");
    desk.connect(2, "vdi-2");
    assert_eq!((desk.live_id(), desk.closed()), (Some(1), vec![2]));
    desk.connect(3, "vdi-1");
    assert_eq!((desk.live_id(), desk.closed()), (Some(3), vec![2, 1]));
    let order: Vec<_> = desk
        .acts
        .iter()
        .filter_map(|act| match act {
            Act::Ended { host_id, .. } => Some(host_id.as_str()),
            Act::Live(Output::Ready { .. }) => Some("ready"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["ready", "vdi-1", "ready"], "the old one is over before the new one begins");
    desk.switch.closed(3, &mut desk.acts);
    desk.connect(4, "vdi-2");
    assert_eq!(desk.live_id(), Some(4), "when none is live, any host of the organisation may be");
}

#[test]
fn a_break_turns_the_camera_off_and_goes_on_attesting_a_cover() {
    let mut desk = Desk::default();
    let mut host = desk.connect(1, "vdi-1");
    for t_ms in (NOW_MS..=NOW_MS + 4_000).step_by(100) {
        desk.look(t_ms);
    }
    assert!(!desk.switch.covers_own());
    host.take(&desk.sent(1));
    host.news.clear();

    let status = host.status(Reason::Break);
    desk.bytes(1, &status);
    let asked = |acts: &[Act]| {
        acts.iter().rev().find_map(|a| if let Act::Live(Output::Break(on)) = a { Some(*on) } else { None })
    };
    assert_eq!(asked(&desk.acts), Some(true));
    // A look that was under way counts no more, and time alone does not make a lost camera.
    desk.look(NOW_MS + 4_100);
    for t_ms in (NOW_MS + 4_200..NOW_MS + 14_000).step_by(50) {
        desk.switch.tick(t_ms, [0; 16], &mut desk.acts);
    }
    host.take(&desk.sent(1));
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
    assert!(desk.switch.covers_own());

    let status = host.status(Reason::Starting);
    desk.bytes(1, &status);
    assert_eq!(asked(&desk.acts), Some(false));
    desk.look(NOW_MS + 15_000);
    assert!(desk.switch.covers_own(), "what was seen before the break does not hold after it");
    for t_ms in (NOW_MS + 15_100..=NOW_MS + 18_000).step_by(100) {
        desk.look(t_ms);
    }
    assert!(!desk.switch.covers_own());
}
