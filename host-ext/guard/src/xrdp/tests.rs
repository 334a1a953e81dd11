//! The whole loop with a chansrv that lies: any program of the session can put one there.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sudare_base::clock::Now;

use super::*;
use crate::transport::{Action, LinkEvent, SessionDriver, SessionEvent, SessionInfo};

/// Takes its time for each piece of the channel, as one that logs and refuses it does.
struct Slow(Arc<AtomicUsize>);

impl DriverFactory for Slow {
    fn session(&self, _info: SessionInfo, _now: Now) -> Box<dyn SessionDriver> {
        Box::new(Slow(Arc::clone(&self.0)))
    }
}

impl SessionDriver for Slow {
    fn handle(&mut self, _now: Now, event: SessionEvent) -> Vec<Action> {
        if matches!(event, SessionEvent::Link(LinkEvent::Bytes(_))) {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(2));
        }
        Vec::new()
    }
}

/// Says yes to every channel, and then sends without pause.
fn flood(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                stream.read_exact(&mut [0; 22]).unwrap();
                stream.write_all(&[0; 4]).unwrap();
                // Until the guard closes it.
                while stream.write_all(&[0xa5; 32 * 1024]).is_ok() {}
            });
        }
    });
}

/// Another process writes it: what another test starts at this moment would hold our open file for a moment, and a
/// program that is open for writing cannot be run.
fn write_program(path: &Path, text: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"printf '%s' "$1" > "$2" && chmod 755 "$2""#, "sh", text]).arg(path);
    assert!(shell.status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_sends_without_pause_does_not_keep_the_beats_from_the_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let blanker = dir.path().join("blanker");
    write_program(&blanker, "#!/bin/sh\nexec cat > /dev/null\n");
    flood(&dir.path().join("xrdpapi_10"));
    let options = Options {
        display: 10,
        user: "alice".into(),
        uid: rustix::process::getuid().as_raw(),
        server_pid: 1,
        cookie: Cookie { name: "MIT-MAGIC-COOKIE-1".into(), data: zeroize::Zeroizing::new(vec![0; 16]) },
        socket_dir: dir.path().to_owned(),
        blanker,
    };
    let pieces = Arc::new(AtomicUsize::new(0));
    let (stop, stopped) = mpsc::channel(1);
    let (driver, began) = (Slow(Arc::clone(&pieces)), Instant::now());
    let mut beats = Vec::new();
    let mut tell = |tell: Tell| {
        if matches!(tell, Tell::Heartbeat(_)) {
            beats.push(began.elapsed());
        }
    };
    let first = options.start_blanker().unwrap();
    let runs = run(options, first, Arc::new(driver), stopped, &mut tell);
    let stops = async {
        let withheld = tokio::task::spawn_blocking(|| longest_nap(Duration::from_millis(2_500)));
        let withheld = withheld.await.unwrap();
        stop.send(Order::End).await.unwrap();
        withheld
    };
    let (result, withheld) = tokio::join!(runs, stops);
    result.unwrap();
    assert!(pieces.load(Ordering::Relaxed) > 200, "it was no flood");
    beats.push(began.elapsed());
    let silent = beats.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    // Each 50 ms on an idle machine. The supervisor kills after 2 s.
    let limit = Duration::from_millis(1_500) + withheld * 4;
    assert!(silent < limit, "silent for {silent:?}; the machine itself withheld {withheld:?}");
}

/// How long a thread that wants 10 ms is left waiting at worst: what this machine costs, whoever asks.
fn longest_nap(time: Duration) -> Duration {
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < time {
        let asked = Instant::now();
        std::thread::sleep(Duration::from_millis(10));
        longest = longest.max(asked.elapsed());
    }
    longest
}
