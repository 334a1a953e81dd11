//! A way to a server that can be cut: while it is closed, connections are refused or dropped.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, thread};

pub(super) struct Forwarder {
    port: u16,
    open: Arc<AtomicBool>,
}

impl Forwarder {
    /// Closed at first.
    pub(super) fn new(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(AtomicBool::new(false));
        let is_open = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if let Ok(server) = TcpStream::connect(&server)
                    && is_open.load(Ordering::SeqCst)
                {
                    join(client, server, &is_open);
                }
            }
        });
        Self { port, open }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }
}

fn join(client: TcpStream, server: TcpStream, open: &Arc<AtomicBool>) {
    for (from, to) in [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))] {
        let (from, to, open) = (from.unwrap(), to.unwrap(), Arc::clone(open));
        thread::spawn(move || {
            let both = [from.try_clone(), to.try_clone()];
            drop(pass(from, to, &open));
            for stream in both.into_iter().flatten() {
                drop(stream.shutdown(Shutdown::Both));
            }
        });
    }
}

/// Ends with the connection, or at the first bytes after the way was cut.
fn pass(mut from: TcpStream, mut to: TcpStream, open: &AtomicBool) -> io::Result<()> {
    use std::io::{Read as _, Write as _};
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 || !open.load(Ordering::SeqCst) {
            return Ok(());
        }
        to.write_all(&buffer[..read])?;
    }
}
