//! The same over a slow link: a proxy that passes on only so many bytes per second, or none.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sudare_headless::ScreenKind;

use super::{COVER, ECHO, Host, IS_COVERED, Seat, UNCOVER, host};

const STEP: Duration = Duration::from_millis(10);
/// About 1 Mbit/s: the whole desktop takes two seconds.
const SLOW_BYTES_PER_STEP: usize = 1250;

/// Passes bytes from host to client at a limited rate, the other way at once.
struct SlowLink {
    port: u16,
    bytes_per_step: Arc<AtomicUsize>,
}

impl SlowLink {
    fn new(host: &Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = host.handle.local_addr();
        let bytes_per_step = Arc::new(AtomicUsize::new(1 << 20));
        let rate = Arc::clone(&bytes_per_step);
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let host = connect(target);
            let (mut from, mut to) = (client.try_clone().unwrap(), host.try_clone().unwrap());
            thread::spawn(move || {
                std::io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Both).ok();
            });
            pass_slowly(host, client, &rate);
        });
        Self { port, bytes_per_step }
    }

    fn set(&self, bytes_per_step: usize) {
        self.bytes_per_step.store(bytes_per_step, Ordering::Relaxed);
    }
}

/// A connection with a small buffer of its own: what waits shall wait at the host.
fn connect(target: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connected = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(target).await.unwrap().into_std().unwrap()
    });
    connected.set_nonblocking(false).unwrap();
    connected
}

fn pass_slowly(mut from: TcpStream, mut to: TcpStream, rate: &AtomicUsize) {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let allowed = rate.load(Ordering::Relaxed).min(buffer.len());
        if allowed > 0 {
            match from.read(&mut buffer[..allowed]) {
                Ok(0) | Err(_) => break,
                Ok(read) if to.write_all(&buffer[..read]).is_err() => break,
                Ok(_) => {}
            }
        }
        thread::sleep(STEP);
    }
    to.shutdown(Shutdown::Both).ok();
}

fn seat(link: &SlowLink) -> Seat {
    let mut seat = Seat::connect(link.port);
    seat.wait_opened();
    seat
}

#[test]
fn a_cover_is_not_queued_behind_the_desktop() {
    let host = host(4);
    let link = SlowLink::new(&host);
    let mut seat = seat(&link);
    link.set(SLOW_BYTES_PER_STEP);
    for _ in 0..3 {
        seat.tell(UNCOVER);
        // The desktop is on its way.
        seat.wait_screen(ScreenKind::Mixed);
        let start = Instant::now();
        seat.tell(COVER);
        seat.wait_message(IS_COVERED);
        assert!(seat.screen.unwrap().is_covered());
        let taken = seat.screen.unwrap().at - start;
        println!("slow link: lock to black in {taken:?}");
        assert!(taken < Duration::from_millis(1200), "{taken:?}");
        seat.wait_screen(ScreenKind::Covered);
    }
}

#[test]
fn covered_is_not_claimed_before_the_black_was_written() {
    let host = host(4);
    let link = SlowLink::new(&host);
    let mut seat = seat(&link);
    seat.tell(UNCOVER);
    seat.wait_screen(ScreenKind::Desktop);
    link.set(0);
    // Fills what lies between, so that the black frame has to wait at the host.
    seat.handle.send(vec![ECHO; 250_000]).unwrap();
    thread::sleep(Duration::from_secs(1));
    seat.tell(COVER);
    thread::sleep(Duration::from_secs(1));
    let covered = |host: &Host| host.toys.log().iter().filter(|what| **what == "covered").count();
    assert_eq!(covered(&host), 1, "only the first black frame of the connection was written");
    link.set(1 << 20);
    seat.wait_message(IS_COVERED);
    assert!(seat.screen.unwrap().is_covered());
    assert_eq!(covered(&host), 2);
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let host = host(4);
    let link = SlowLink::new(&host);
    let mut seat = seat(&link);
    seat.tell(UNCOVER);
    seat.wait_screen(ScreenKind::Desktop);
    link.set(0);
    let start = Instant::now();
    // Fills what lies between; then the host grants five seconds.
    seat.handle.send(vec![ECHO; 250_000]).unwrap();
    while !host.toys.log().contains(&"gone") {
        assert!(start.elapsed() < Duration::from_secs(20), "the host waits for ever");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
}
