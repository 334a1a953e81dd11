use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::*;
use crate::target::{Place, Target};
use crate::tests::ends::{Client, Stage as Ends, ended, identity};

#[tokio::test]
async fn a_client_without_a_host_gets_a_black_screen_with_words_and_ends_by_itself() {
    LocalSet::new()
        .run_until(async {
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (host_identity, pin) = identity();
            let place = Place::Tcp(gone.local_addr().unwrap().to_string());
            drop(gone);
            let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let ends = Ends::with(unused, host_identity, Target { place, pin: Some(pin) }).await;
            let client = tokio::task::spawn_local(Client::connect(ends.address));
            let served = ends.serve().await;
            let mut client = client.await.unwrap().expect("a session");
            // Bitmaps: black for the whole screen, and then the words in several pieces.
            let mut frames = 0;
            while frames < 4 {
                let frame = client.frame().await.expect("it stays");
                frames += usize::from(frame.first() == Some(&0));
            }
            drop(client);
            assert!(matches!(ended(served).await, Ended::Unreachable { .. }), "the reason is the host");
            assert!(ends.guard.told().is_empty(), "the guard decides about desktops only");
        })
        .await;
}

#[test]
fn it_says_one_thing_and_then_enough() {
    let at = |boot_ms| Now { boot_ms, ..clock::now() };
    let text = CoverText { lines: vec!["why".to_owned()] };
    let mut told = Told { text: Some(text), until_ms: 9 };
    let mut next = |boot_ms| told.handle(at(boot_ms), SessionEvent::Tick);
    assert!(matches!(&next(1)[..], [Action::Cover(text)] if text.lines == ["why"]));
    assert!(next(8).is_empty());
    assert!(matches!(&next(9)[..], [Action::Disconnect { .. }]));
}
