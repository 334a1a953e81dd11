//! What a client sees, and when.

use std::time::Duration;

use sudare_guard::transport::Action;
use sudare_relay::connect::negotiate::{failure, failure_code};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::ends::{Client, Stage, ended, identity, number};
use crate::error::Ended;
use crate::target::{Place, Target};

#[tokio::test]
async fn nothing_of_the_desktop_is_sent_before_an_uncover_and_after_a_cover() {
    LocalSet::new()
        .run_until(async {
            let stage = Stage::new().await;
            let (mut client, mut host, served) = stage.connect().await;
            host.draw(1, 10).await;
            // Twice, because the client was sent nothing at first and is black then.
            stage.guard.wait_told("Painted(Covered)").await;
            stage.guard.wait_told("Link(Missing)").await;
            sleep(Duration::from_millis(150)).await;
            stage.guard.want(Action::Uncover);
            stage.guard.wait_told("Painted(Visible)").await;
            host.draw(2, 10).await;
            assert_eq!((client.picture().await, client.picture().await), (Some(1), Some(2)));

            let before = stage.guard.told().len();
            stage.guard.cover();
            while !stage.guard.told()[before..].iter().any(|told| told.contains("Painted(Covered)")) {
                sleep(Duration::from_millis(5)).await;
            }
            host.draw(3, 10).await;
            sleep(Duration::from_millis(150)).await;
            stage.guard.want(Action::Disconnect { advice: "enough".into() });
            let rest = client.rest().await;
            assert!(rest.iter().all(|frame| number(frame).is_none()), "something of the desktop came");
            // Black, the words, and a goodbye.
            assert!(rest.len() > 2, "{} frames", rest.len());
            assert_eq!(rest.last().map(Vec::as_slice), Some(&[3, 0, 0, 9, 2, 0xF0, 0x80, 0x20, 0x80][..]));
            assert!(matches!(ended(served).await, Ended::Advised(why) if why == "enough"));
            assert!(stage.guard.told().last().unwrap().contains("Disconnected"));
        })
        .await;
}

#[tokio::test]
async fn a_visible_session_ends_black() {
    LocalSet::new()
        .run_until(async {
            let stage = Stage::new().await;
            let (mut client, mut host, served) = stage.connect().await;
            stage.guard.want(Action::Uncover);
            stage.guard.wait_told("Painted(Visible)").await;
            host.draw(1, 10).await;
            assert_eq!(client.picture().await, Some(1));
            drop(host);
            let rest = client.rest().await;
            assert!(rest.len() >= 2 && rest.iter().all(|frame| number(frame).is_none()));
            assert!(matches!(ended(served).await, Ended::HostLeft | Ended::Host(_)));
        })
        .await;
}

#[tokio::test]
async fn a_host_with_another_certificate_shows_nothing_and_the_reason_says_so() {
    LocalSet::new()
        .run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (host_identity, seen) = identity();
            let (_, expected) = identity();
            let place = Place::Tcp(listener.local_addr().unwrap().to_string());
            let stage = Stage::with(listener, host_identity, Target { place, pin: Some(expected) }).await;
            let client = tokio::task::spawn_local(Client::connect(stage.address));
            let served = stage.serve().await;
            let (tcp, _) = stage.host.accept().await.unwrap();
            assert!(super::ends::Host::accept(tcp, &stage.host_identity).await.is_err());
            // The client gets a screen of the gate's own, which has nothing of the host's.
            drop(client.await.unwrap().unwrap());
            match ended(served).await {
                Ended::WrongPin { seen: found, expected: wanted, .. } => {
                    assert_eq!((found, wanted), (seen, expected));
                }
                other => panic!("{other}"),
            }
            assert!(stage.guard.told().is_empty(), "no session began");
        })
        .await;
}

#[tokio::test]
async fn a_host_that_demands_nla_is_refused_with_a_sentence() {
    LocalSet::new()
        .run_until(async {
            let stage = Stage::new().await;
            // Its screen says so; it leaves when it has one.
            let client =
                tokio::task::spawn_local(async move { Client::connect(stage.address).await.map(drop) });
            let served = stage.serve().await;
            let (mut host, _) = stage.host.accept().await.unwrap();
            let mut request = [0; 19];
            host.read_exact(&mut request).await.unwrap();
            host.write_all(&failure(failure_code::HYBRID_REQUIRED)).await.unwrap();
            let ended = ended(served).await;
            assert!(ended.to_string().contains("demands NLA"), "{ended}");
            client.await.unwrap().unwrap();
        })
        .await;
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named() {
    LocalSet::new()
        .run_until(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let (identity, pin) = identity();
            let target = Target { place: Place::Tcp(gone.to_string()), pin: Some(pin) };
            let stage = Stage::with(listener, identity, target).await;
            let client =
                tokio::task::spawn_local(async move { Client::connect(stage.address).await.map(drop) });
            let ended = ended(stage.serve().await).await;
            assert!(ended.to_string().contains(&format!("tcp:{gone} does not answer")), "{ended}");
            client.await.unwrap().unwrap();
        })
        .await;
}
