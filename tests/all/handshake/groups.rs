//! Groups of a policy: which applies is the host's to say, and both ends reckon with it.

use sudare_protocol::client::{self, AwaitHello};
use sudare_protocol::error::{Code, Fault, Refusal};
use sudare_protocol::eyes::{EyesRules, Recognition};
use sudare_protocol::groups::{Group, Membership};
use sudare_protocol::host::{self, AwaitOpen, Opened};
use sudare_protocol::message::Attest;
use sudare_protocol::records::{Policy, Signed};
use sudare_protocol::template::OperatorTemplate;
use sudare_test_kit::pair;

use super::NOW_MS;
use super::ends::{FIRST, assert_refused, clear, one_frame};

struct Seat {
    client: client::Live,
    operators: Vec<OperatorTemplate>,
    host: host::Live,
    opened: Opened,
}

fn group(name: &str, members: &[&str], recognition: Recognition) -> Group {
    Group {
        name: name.into(),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        timings: [("hold_ms".to_owned(), 400)].into(),
        eyes: Some(EyesRules { recognition, ..EyesRules::default() }),
        observed_until_ms: None,
    }
}

fn policy(groups: Vec<Group>) -> Vec<u8> {
    Signed::sign(&pair::organisation_key(), &Policy { groups: Some(groups), ..pair::policy() }).unwrap()
}

/// A handshake at a host whose name service says this of every group.
fn seated(groups: Vec<Group>, membership: Membership) -> Result<Seat, Refusal> {
    let mut setup = pair::host_setup().unwrap();
    let organisation = pair::organisation_key().verifying_key();
    setup.policy = Signed::verify(&organisation, &policy(groups), pair::WALL_MS).unwrap();
    let (host, hello) = AwaitOpen::new(setup, [0x30; 32], NOW_MS).unwrap();
    let client = AwaitHello::new(pair::client_setup(), pair::client_fresh());
    let (client, open) = client.handle(&one_frame(&hello)).unwrap();
    let devices = pair::OneDevice { membership: Some(membership), ..pair::OneDevice::default() };
    let answer = host.handle(&one_frame(&open), &devices, &pair::host_fresh(), NOW_MS);
    let (host, ready, opened) = answer.map_err(|refused| refused.refusal)?;
    let (client, operators) = client.handle(&one_frame(&ready)).unwrap();
    Ok(Seat { client, operators, host, opened })
}

#[test]
fn the_host_says_which_group_applies_and_both_ends_reckon_with_it() {
    let groups = vec![
        group("others", &["bob"], Recognition::Lenient),
        group("staff", &["@staff"], Recognition::Strict),
    ];
    let seat = seated(groups.clone(), Membership::Member).unwrap();
    assert_eq!(seat.opened.in_force.group.as_deref(), Some("staff"));
    assert_eq!(*seat.client.in_force(), seat.opened.in_force);
    assert_eq!((seat.client.timings().hold_ms, seat.host.timings().hold_ms), (400, 400));
    assert_eq!(seat.client.in_force().eyes.recognition, Recognition::Strict);
    let seat = seated(groups, Membership::NotMember).unwrap();
    assert_eq!((seat.client.in_force().group.as_ref(), seat.client.timings().hold_ms), (None, 1_000));
}

#[test]
fn a_directory_that_is_down_and_a_group_that_is_not_there_keep_the_desktop_covered() {
    let groups = || vec![group("staff", &["@staff"], Recognition::Normal)];
    for (membership, word) in
        [(Membership::Unknown, "does not answer"), (Membership::NoSuchGroup, "knows no such group")]
    {
        let Err(refusal) = seated(groups(), membership) else { panic!("{membership:?} was let in") };
        assert_refused(&refusal, Code::RulesUnclear, Fault::Us);
        assert!(refusal.to_string().contains(word), "{refusal}");
        // Whoever is written there needs no directory.
        let named = vec![group("staff", &["@staff", pair::USER], Recognition::Normal)];
        assert!(seated(named, membership).is_ok());
    }
}

#[test]
fn where_nobody_is_compared_no_template_leaves_the_host() {
    let seat = seated(vec![group("present", &["*"], Recognition::Presence)], Membership::NotMember).unwrap();
    assert!(seat.operators.is_empty());
    assert_eq!(seat.client.timings().absence_ms, 5_000);
    let seat = seated(vec![group("known", &["*"], Recognition::Normal)], Membership::NotMember).unwrap();
    assert_eq!(seat.operators.len(), 1);
}

#[test]
fn a_client_that_compares_nobody_is_believed_only_where_the_policy_asks_for_no_more() {
    let attest = |recognition, recognised| {
        let groups = vec![group("all", &["*"], recognition)];
        let mut seat = seated(groups, Membership::NotMember).unwrap();
        let seen = Attest { recognised, ..clear(pair::host_fresh().nonce) };
        let message = seat.client.attest(seen).unwrap();
        seat.host.handle(&one_frame(&message), NOW_MS)
    };
    assert!(attest(Recognition::Presence, Some(false)).is_ok());
    assert!(attest(Recognition::Normal, Some(true)).is_ok());
    // A client of before this field always compares.
    assert!(attest(Recognition::Normal, None).is_ok());
    let refusal = attest(Recognition::Normal, Some(false)).unwrap_err();
    assert_refused(&refusal, Code::Unexpected, Fault::Peer);
}

#[test]
fn a_group_that_the_policy_does_not_have_ends_the_handshake_at_the_client() {
    use sudare_protocol::message::{self, Ready, kind};
    use sudare_protocol::session::transcript;
    let (_, hello) = super::offer();
    let (client, open) = AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&hello).unwrap();
    let ready = Ready { templates: vec![], nonce: [1; 16], user: None, group: Some("invented".into()) };
    let ready = sudare_protocol::cose::sign1(
        &pair::host_key(),
        &transcript(&hello, &one_frame(&open)),
        &message::encode(kind::READY, FIRST, &ready),
    );
    let refused = client.handle(&ready).unwrap_err();
    assert_refused(&refused.refusal, Code::PolicyRefused, Fault::Organisation);
}
