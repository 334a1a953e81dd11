//! A TCP proxy on loopback that delays everything, as a long way does.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

const READ_BYTES: usize = 64 * 1024;

/// Forwards to `target` with `one_way` of delay in each direction; gives the address to connect to.
pub(super) fn start(target: SocketAddr, one_way: Duration) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            if let Err(error) = forward(client, target, one_way) {
                tracing::warn!(%error, "the proxy could not connect");
            }
        }
    });
    Ok(address)
}

fn forward(client: TcpStream, target: SocketAddr, one_way: Duration) -> std::io::Result<()> {
    let host = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    host.set_nodelay(true)?;
    for (from, to) in [(client.try_clone()?, host.try_clone()?), (host, client)] {
        let (sender, receiver) = channel();
        thread::spawn(move || read(from, &sender));
        thread::spawn(move || write(to, &receiver, one_way));
    }
    Ok(())
}

fn read(mut from: TcpStream, to: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..count) else { return };
        if to.send((Instant::now(), bytes.to_vec())).is_err() {
            return;
        }
    }
}

fn write(mut to: TcpStream, from: &Receiver<(Instant, Vec<u8>)>, one_way: Duration) {
    while let Ok((came, bytes)) = from.recv() {
        thread::sleep((came + one_way).saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    // The end of one direction is the end of the connection; it may be over already.
    drop(to.shutdown(std::net::Shutdown::Both));
}
