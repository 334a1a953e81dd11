//! A session, step by step.

use sudare_guard::transport::Action;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::host::Secured;
use crate::negotiate::Client as ClientLeg;
use crate::tests::ends::{Client, Host, PATIENCE, Stage, number};

/// A visible session that nobody runs any more, and its ends.
async fn visible(stage: &Stage) -> (Session<ClientLeg, Secured>, Client, Host) {
    let client = tokio::task::spawn_local(Client::connect(stage.address));
    let accepting = async {
        let (tcp, _) = stage.host.accept().await.unwrap();
        Host::accept(tcp, &stage.host_identity).await.unwrap()
    };
    let (_stop, mut stop) = watch::channel(false);
    let running = async {
        let mut session = stage.open().await;
        let until = async {
            stage.guard.wait_told("Link(Missing)").await;
            stage.guard.want(Action::Uncover);
            stage.guard.wait_told("Painted(Visible)").await;
        };
        tokio::select! {
            ended = session.serve(&mut stop) => panic!("{ended:?}"),
            () = until => {}
        }
        session
    };
    let (session, host) = tokio::join!(running, accepting);
    (session, client.await.unwrap().unwrap(), host)
}

/// What the client would get next, after the host has drawn something.
async fn next(session: &mut Session<ClientLeg, Secured>, host: &mut Host) -> Vec<u8> {
    host.draw(9, 3).await;
    let read = timeout(PATIENCE, session.host.input.read()).await.unwrap();
    assert_eq!(read.unwrap(), Ok(true));
    session.take(Side::Host).unwrap();
    let mut all = Vec::new();
    while let Some(block) = session.state.block().unwrap() {
        all.extend(block.bytes);
    }
    all
}

#[tokio::test]
async fn after_a_sleep_the_guard_is_asked_before_the_next_pixel() {
    LocalSet::new()
        .run_until(async {
            let stage = Stage::new().await;
            let (mut session, _client, mut host) = visible(&stage).await;
            session.state.drive(SessionEvent::Tick).unwrap();
            assert_eq!(number(&next(&mut session, &mut host).await), Some(9), "what is visible is sent");
            // The guard would cover as soon as somebody asked it.
            stage.guard.cover();
            session.state.asked_ms = 0;
            let bytes = next(&mut session, &mut host).await;
            assert!(!bytes.is_empty() && number(&bytes).is_none(), "black, and nothing of the desktop");
        })
        .await;
}
