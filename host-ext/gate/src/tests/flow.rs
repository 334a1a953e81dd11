//! A client that does not read: its host has to wait, and a cover does not.

use std::time::Duration;

use socket2::SockRef;
use sudare_guard::transport::Action;
use sudare_relay::limits::WAITING_BYTES;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::ends::{Client, Host, Stage, drawn, number};

/// What the kernel takes on the way at most (tcp(7)): it makes the gate's own buffers larger while they are used, and a
/// test cannot make those small.
fn kernel_bytes() -> usize {
    let most = |name: &str| -> usize {
        let three = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        three.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    most("tcp_rmem") + most("tcp_wmem")
}

const PICTURE_TIMES: usize = 1_000;

/// Connects a client whose kernel takes little.
async fn connect(stage: &Stage) -> (Client, Host) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let tcp = socket.connect(stage.address).await.unwrap();
    let client = tokio::task::spawn_local(Client::over(tcp));
    stage.serve().await;
    let (tcp, _) = stage.host.accept().await.unwrap();
    SockRef::from(&tcp).set_send_buffer_size(64 * 1024).unwrap();
    let host = Host::accept(tcp, &stage.host_identity).await.unwrap();
    (client.await.unwrap().unwrap(), host)
}

#[tokio::test]
async fn a_host_waits_for_a_client_that_does_not_read_and_a_cover_overtakes_what_waits() {
    LocalSet::new()
        .run_until(async {
            let stage = Stage::new().await;
            let (mut client, mut host) = connect(&stage).await;
            stage.guard.want(Action::Uncover);
            stage.guard.wait_told("Painted(Visible)").await;
            let picture = drawn(7, PICTURE_TIMES);
            let (mut sent, most) = (0, WAITING_BYTES + kernel_bytes());
            while timeout(Duration::from_millis(300), host.0.write_all(&picture)).await.is_ok() {
                sent += picture.len();
                assert!(sent < most, "the host is never made to wait");
            }
            assert!(sent > WAITING_BYTES, "a host is read as long as there is room: {sent}");

            let before = stage.guard.told().len();
            stage.guard.cover();
            sleep(Duration::from_millis(120)).await;
            let mut shown = 0;
            // What had left the relay before still comes: one block, TLS's buffer, the kernel's.
            while !stage.guard.told()[before..].iter().any(|told| told.contains("Painted(Covered)")) {
                let frame = client.frame().await.unwrap();
                shown += if number(&frame).is_some() { frame.len() } else { 0 };
            }
            assert!(shown * 2 < sent && shown < WAITING_BYTES, "{shown} of {sent} bytes came before black");
        })
        .await;
}
