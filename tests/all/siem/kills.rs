//! Killed at any moment, in front of a receiver that breaks off: no event is missing, and duplicates are identical.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sudare_test_kit::PATIENCE;

use super::log::Log;
use super::program::{forward, forwarded, uid};

/// Event id → the different messages under it, and how often any came.
type Received = Arc<Mutex<BTreeMap<String, (String, u32)>>>;

/// Reads frames until the sender says that it is finished; one connection in five it breaks off and forgets.
fn receive(listener: &TcpListener, received: &Received, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for connection in listener.incoming() {
        let stream = connection.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if random.random_ratio(1, 5) {
            drop((&stream).read(&mut [0; 100]));
            continue;
        }
        for message in frames(&stream) {
            let mut received = received.lock().unwrap();
            let known = received.entry(uid(&message)).or_insert_with(|| (message.clone(), 0));
            assert_eq!(known.0, message, "the same event came in another form");
            known.1 += 1;
        }
    }
}

/// Whole frames; a last one that was cut short is not one.
fn frames(stream: &TcpStream) -> Vec<String> {
    let mut reader = BufReader::new(stream);
    let mut frames = Vec::new();
    loop {
        let mut length = Vec::new();
        if !matches!(reader.read_until(b' ', &mut length), Ok(1..)) || length.pop() != Some(b' ') {
            return frames;
        }
        let length: usize = std::str::from_utf8(&length).unwrap().parse().unwrap();
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() {
            return frames;
        }
        frames.push(String::from_utf8(message).unwrap());
    }
}

#[test]
fn killed_at_any_moment_every_event_arrives() {
    let kills = if std::env::var_os("SUDARE_LONG").is_some() { 500 } else { 50 };
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp://{}", listener.local_addr().unwrap());
    let received = Received::default();
    let theirs = received.clone();
    thread::spawn(move || receive(&listener, &theirs, seed));

    let mut log = Log::new();
    let mut expected = log.incidents(100);
    for _ in 0..kills {
        let mut child = forward(&log, &to, "cef").spawn().unwrap();
        // Half of the times while the log grows.
        if random.random() {
            let count = random.random_range(1..60);
            expected.extend(log.incidents(count));
        }
        thread::sleep(Duration::from_millis(random.random_range(0..90)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The receiver may still break off, which ends `--once`.
    while !super::program::forward_once(&log, &to, "cef", &[]).status.success() {}
    forwarded(&log, &to, "cef", &[]);

    let received = received.lock().unwrap();
    let missing: Vec<_> = expected.iter().filter(|id| !received.contains_key(*id)).collect();
    let again = received.values().filter(|(_, count)| *count > 1).count();
    println!("{kills} kills, {} events, {} missing, {again} came again", expected.len(), missing.len());
    assert_eq!(missing, Vec::<&String>::new());
    assert_eq!(received.len(), expected.len(), "no event that is not in the log");
}
