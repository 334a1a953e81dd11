//! Connections that are reset at every place, beside one that goes on.

use std::net::SocketAddr;
use std::time::Duration;

use sudare_guard::transport::Action;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::ends::{Client, Host, PATIENCE, Stage, ended};
use crate::error::Ended;
use crate::target::{Place, Target};

/// Bytes between two places where a connection is torn.
const STEP: usize = 151;

/// Passes bytes on until `budget` of the left side's are through, then resets both sides.
async fn tear(mut left: TcpStream, mut right: TcpStream, mut budget: usize) -> bool {
    let (mut up, mut down) = (vec![0; 4096], vec![0; 4096]);
    while budget > 0 {
        let most = budget.min(up.len());
        let done = tokio::select! {
            read = left.read(&mut up[..most]) => match read {
                Ok(count) if count > 0 => {
                    budget -= count;
                    right.write_all(&up[..count]).await.is_err()
                }
                _ => true,
            },
            read = right.read(&mut down) => match read {
                Ok(count) if count > 0 => left.write_all(&down[..count]).await.is_err(),
                _ => true,
            },
            // Everything is said, and the budget was not used up.
            () = tokio::time::sleep(Duration::from_millis(400)) => return true,
        };
        if done {
            break;
        }
    }
    for side in [&left, &right] {
        side.set_zero_linger().unwrap();
    }
    false
}

/// Connects through something that tears; how it ended, and whether all was through before.
async fn torn_client(stage: &Stage, budget: usize) -> (Ended, bool) {
    let middle = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::task::spawn_local(Client::connect(middle.local_addr().unwrap()));
    let (left, _) = middle.accept().await.unwrap();
    let right = TcpStream::connect(stage.address).await.unwrap();
    let torn = tokio::task::spawn_local(tear(left, right, budget));
    let served = stage.serve().await;
    let host = async {
        let (tcp, _) = stage.host.accept().await.unwrap();
        Host::accept(tcp, &stage.host_identity).await
    };
    let host = timeout(Duration::from_millis(1_500), host).await;
    let whole = torn.await.unwrap();
    let _client = client.await.unwrap();
    drop(host);
    (ended(served).await, whole)
}

async fn goes_on(client: &mut Client, host: &mut Host, number: u8) {
    host.draw(number, 3).await;
    let seen = timeout(PATIENCE, client.picture()).await.expect("the other connection goes on");
    assert_eq!(seen, Some(number));
}

#[tokio::test]
async fn a_client_that_is_torn_off_anywhere_ends_alone() {
    LocalSet::new()
        .run_until(async {
            let other = Stage::new().await;
            let (mut client, mut host, _served) = other.connect().await;
            other.guard.want(Action::Uncover);
            other.guard.wait_told("Painted(Visible)").await;
            let stage = Stage::new().await;
            let mut places = 0_u8;
            for budget in (1..).step_by(STEP) {
                let (ended, whole) = torn_client(&stage, budget).await;
                places += 1;
                let left = matches!(ended, Ended::ClientLeft | Ended::Client(_) | Ended::ClientTls(_));
                assert!(left, "after {budget} bytes: {ended}");
                goes_on(&mut client, &mut host, places).await;
                if whole {
                    break;
                }
            }
            assert!(places > 8, "the whole handshake has been torn: {places}");
        })
        .await;
}

/// The address of something that tears before the host.
async fn torn_host(host: SocketAddr, budget: usize) -> SocketAddr {
    let middle = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = middle.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        let (right, _) = middle.accept().await.unwrap();
        let left = TcpStream::connect(host).await.unwrap();
        tear(left, right, budget).await
    });
    address
}

#[tokio::test]
async fn a_host_that_is_torn_off_anywhere_ends_its_client_alone() {
    LocalSet::new()
        .run_until(async {
            let other = Stage::new().await;
            let (mut client, mut host, _served) = other.connect().await;
            other.guard.want(Action::Uncover);
            other.guard.wait_told("Painted(Visible)").await;
            for (number, budget) in (1_u8..).zip((1..3_000).step_by(STEP)) {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let place = torn_host(listener.local_addr().unwrap(), budget).await;
                let (identity, pin) = super::ends::identity();
                let target = Target { place: Place::Tcp(place.to_string()), pin: Some(pin) };
                let stage = Stage::with(listener, identity, target).await;
                // A client that is told why on a screen leaves at once.
                let torn =
                    tokio::task::spawn_local(async move { drop(Client::connect(stage.address).await) });
                let served = stage.serve().await;
                let (tcp, _) = stage.host.accept().await.unwrap();
                let accepting = Host::accept(tcp, &stage.host_identity);
                let accepted = timeout(Duration::from_millis(1_500), accepting).await;
                if let Ok(Ok(accepted)) = accepted {
                    drop(accepted);
                }
                let ended = ended(served).await;
                let left = matches!(ended, Ended::HostLeft | Ended::Host(_) | Ended::HostTls { .. });
                assert!(left, "after {budget} bytes: {ended}");
                torn.await.unwrap();
                goes_on(&mut client, &mut host, number).await;
            }
        })
        .await;
}
