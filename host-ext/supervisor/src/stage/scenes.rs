//! What users, attackers and accidents do, and what must come of it.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;

use super::actors::{Connection, Session, other_server, screen_socket, supervisor_of_alices, x_socket};
use super::*;
use crate::sign_in::{self, SignInError};

#[test]
fn a_session_is_guarded_before_any_of_its_user_s_code_runs() {
    on_stage("a_session_is_guarded_before_any_of_its_user_s_code_runs", || {
        let supervisor = supervise();
        mode("nothing");
        let session = Session::begin(10);
        until("a guard", || guards().len() == 1);
        let server = session.server().unwrap();
        let told = [
            format!(
                "--display 10 --user alice --uid {ALICE} --server-pid {} --config /run/stage/host.toml",
                server.pid
            ),
            format!("MIT-MAGIC-COOKIE-1 {}", "ab".repeat(16)),
            format!("{SUDARE} {XRDP_GROUP} {XRDP_GROUP}"),
        ];
        assert_eq!(guards()[0][..3], told);
        until("the X server is ready", || session.listens());
        sleep(500);
        assert!(!session.began(), "the user's code did not wait for the cover");
        mode("covered");
        until("the user's code", || session.began());
        supervisor.stop();
    });
}

#[test]
fn who_looks_while_the_guard_is_silent_is_disconnected_and_the_session_stays() {
    on_stage("who_looks_while_the_guard_is_silent_is_disconnected_and_the_session_stays", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        let mut connection = one_that_stays(10);
        mode("nothing");
        let took_ms = until("disconnection", || !connection.is_there());
        assert!(took_ms >= 350, "{took_ms} ms is before the allowance is over");
        // Coming back does not help.
        let mut again = Connection::to(10);
        until("second disconnection", || !again.is_there());
        assert!(session.server().is_some(), "the session stays");
        mode("covered");
        one_that_stays(10);
    });
}

#[test]
fn a_cover_that_is_not_confirmed_or_a_guard_that_asks_disconnects() {
    on_stage("a_cover_that_is_not_confirmed_or_a_guard_that_asks_disconnects", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        for bad in ["unconfirmed", "asked"] {
            let mut connection = Connection::to(10);
            mode(bad);
            until(bad, || !connection.is_there());
            mode("covered");
            one_that_stays(10).end();
        }
        assert!(session.server().is_some());
    });
}

#[test]
fn a_guard_that_ends_is_replaced_at_once_and_the_third_time_disconnects() {
    on_stage("a_guard_that_ends_is_replaced_at_once_and_the_third_time_disconnects", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        let mut connection = Connection::to(10);
        for count in 1..=2 {
            kill_guard(&guards().last().unwrap()[3]);
            let took_ms = until("the next guard", || guards().len() == count + 1);
            sleep(700);
            if took_ms > 150 {
                eprintln!("the next guard took {took_ms} ms here: nothing to say about who stays connected");
                connection = one_that_stays(10);
            }
            assert!(connection.is_there(), "restarted in time {count}");
        }
        kill_guard(&guards()[2][3]);
        until("disconnection", || !connection.is_there());
        assert_eq!(guards().len(), 3, "no guard while it rests");
        until("the guard after the pause", || guards().len() == 4);
    });
}

#[test]
fn a_guard_that_shows_first_or_babbles_never_lets_the_session_begin() {
    on_stage("a_guard_that_shows_first_or_babbles_never_lets_the_session_begin", || {
        let _supervisor = supervise();
        for (display, bad) in [(10, "visible"), (11, "babble"), (12, "fail"), (13, "stranger")] {
            mode(bad);
            let session = Session::begin(display);
            sleep(1_000);
            let mine = |g: &Vec<String>| g[0].contains(&format!("--display {display} "));
            let count = || guards().iter().filter(|g| mine(g)).count();
            until(bad, || count() >= 3);
            assert!(count() < 6, "{bad}: {:?}", guards());
            assert!(session.server().is_some() && !session.began(), "{bad}");
        }
    });
}

#[test]
fn displays_of_others_and_lies_about_them_are_left_alone() {
    on_stage("displays_of_others_and_lies_about_them_are_left_alone", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        // Alice's own server; one whose parent only calls itself sesman; a link to the real one; a
        // second socket of the same name after the first was removed.
        let mut children = vec![other_server("Xorg", "server", 20, ALICE)];
        let false_sesman = file_of("alice/xrdp-sesman");
        fs::copy(file_of("other"), &false_sesman).unwrap();
        std::os::unix::fs::chown(&false_sesman, Some(ALICE), Some(ALICE)).unwrap();
        children.push(other_server("alice/xrdp-sesman", "leader", 21, ALICE));
        // Root's program, but not root.
        children.push(other_server("xrdp-sesman", "leader", 24, ALICE));
        std::os::unix::fs::symlink(x_socket(10), x_socket(5)).unwrap();
        fs::remove_file(x_socket(10)).unwrap();
        let _false_x = UnixListener::bind(x_socket(10)).unwrap();
        sleep(1_000);
        assert_eq!(guards().len(), 1, "{:?}", guards());
        assert!(session.server().is_some());
        children.iter_mut().for_each(|child| child.kill().unwrap());
    });
}

#[test]
fn a_socket_that_was_replaced_before_anybody_looked_does_not_hide_the_session() {
    on_stage("a_socket_that_was_replaced_before_anybody_looked_does_not_hide_the_session", || {
        let session = Session::begin(10);
        until("the session", || session.began());
        fs::remove_file(x_socket(10)).unwrap();
        let _false_x = UnixListener::bind(x_socket(10)).unwrap();
        let _supervisor = supervise();
        until("a guard", || guards().len() == 1);
        let server = format!("--server-pid {} ", session.server().unwrap().pid);
        assert!(guards()[0][0].contains(&server), "{:?}", guards());
    });
}

#[test]
fn a_flood_of_sockets_does_not_keep_a_session_from_being_noticed() {
    on_stage("a_flood_of_sockets_does_not_keep_a_session_from_being_noticed", || {
        let _supervisor = supervise();
        let flood = thread::spawn(|| {
            for number in (100..).take(20_000) {
                drop(UnixListener::bind(x_socket(number)).unwrap());
            }
        });
        let session = Session::begin(10);
        let took_ms = until("the session", || session.began());
        eprintln!("under a flood of sockets the session began after {took_ms} ms");
        flood.join().unwrap();
        assert_eq!(guards().len(), 1);
    });
}

#[test]
fn sessions_over_the_limit_of_root_or_of_the_guards_user_are_ended() {
    on_stage("sessions_over_the_limit_of_root_or_of_the_guards_user_are_ended", || {
        let _supervisor = supervise_with(Options { max_sessions: 1, ..options() });
        let first = Session::begin(10);
        until("the session", || first.began());
        for (display, uid) in [(11, BOB), (12, 0), (13, SUDARE)] {
            let session = Session::begin_as(display, uid);
            until("its server", || session.server().is_some() || fs::exists(x_socket(display)).unwrap());
            until("its end", || session.server().is_none());
        }
        assert_eq!(guards().len(), 1);
        assert!(first.server().is_some());
    });
}

#[test]
fn a_session_that_several_clients_could_see_at_once_is_ended() {
    on_stage("a_session_that_several_clients_could_see_at_once_is_ended", || {
        let _supervisor = supervise();
        let session = Session::begin_on("Xvnc", 10, ALICE);
        until("its server", || session.server().is_some() || fs::exists(x_socket(10)).unwrap());
        until("its end", || fs::exists(x_socket(10)).unwrap() && session.server().is_none());
        assert_eq!(guards(), Vec::<Vec<String>>::new());
    });
}

#[test]
fn two_connections_to_one_display_both_end() {
    on_stage("two_connections_to_one_display_both_end", || {
        let _supervisor = supervise();
        let (session, other) = (Session::begin(10), Session::begin_as(11, BOB));
        until("the sessions", || session.began() && other.began());
        let mut alone = Connection::to(11);
        let (mut one, mut two) = (Connection::to(10), Connection::to(10));
        let took_ms = until("both to end", || !one.is_there() && !two.is_there());
        assert!(took_ms >= 400, "{took_ms} ms: who takes over has a moment for it");
        // Who takes over is alone before long.
        let mut before = Connection::to(10);
        let mut after = Connection::to(10);
        before.end();
        sleep(1_200);
        assert!(after.is_there() && alone.is_there());
        assert!(session.server().is_some(), "the session stays");
    });
}

#[test]
fn a_guard_that_asks_without_pause_does_not_keep_another_session_from_being_held() {
    on_stage("a_guard_that_asks_without_pause_does_not_keep_another_session_from_being_held", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        mode("flood");
        sleep(500);
        let next = Session::begin_as(11, BOB);
        until("the X server is ready", || next.listens());
        sleep(700);
        assert!(!next.began(), "the user's code did not wait for the cover");
        assert!(session.server().is_some());
    });
}

#[test]
fn who_is_attached_to_a_display_without_a_guard_is_disconnected() {
    on_stage("who_is_attached_to_a_display_without_a_guard_is_disconnected", || {
        let _supervisor = supervise();
        let mut child = other_server("Xorg", "server", 30, ALICE);
        until("its screen", || fs::exists(screen_socket(30)).unwrap());
        sleep(50);
        let mut connection = Connection::to(30);
        let mut own = Connection::by(30, "other", ALICE);
        until("disconnection", || !connection.is_there());
        assert!(own.is_there(), "only xrdp is ended");
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_connection_that_cannot_be_found_costs_the_session() {
    on_stage("a_connection_that_cannot_be_found_costs_the_session", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        let _unknown = Connection::by(10, "other", BOB);
        mode("nothing");
        let took_ms = until("the end of the session", || session.server().is_none());
        assert!(took_ms > 2_000, "{took_ms} ms: an X server may need a moment to notice an end");
    });
}

#[test]
fn a_new_supervisor_takes_over_what_the_old_one_left() {
    on_stage("a_new_supervisor_takes_over_what_the_old_one_left", || {
        let first = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        mode("nothing");
        let waiting = Session::begin_as(11, BOB);
        until("its guard", || guards().len() == 2);
        let second = Supervisor::new(options()).unwrap_err().to_string();
        assert!(second.contains(&format!("as process {}.", std::process::id())), "{second}");
        first.stop();
        let dismissed = || fs::read_to_string(file_of("dismissed")).unwrap().lines().count();
        assert_eq!(dismissed(), 2, "guards are told to end, and end");
        sleep(300);
        assert!(!waiting.began(), "what waits goes on waiting without a supervisor");
        let _second = supervise();
        until("both have a guard again", || guards().len() == 4);
        mode("covered");
        until("the second session", || waiting.began());
    });
}

#[test]
fn the_session_s_user_cannot_reach_the_guard() {
    on_stage("the_session_s_user_cannot_reach_the_guard", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        let guard = &guards()[0][3];
        for signal in ["KILL", "STOP", "TERM"] {
            let mut kill = Command::new("kill");
            let done = kill.args([&format!("-{signal}"), guard]).uid(ALICE).gid(ALICE).output().unwrap();
            assert!(String::from_utf8_lossy(&done.stderr).contains("not permitted"), "{signal}: {done:?}");
        }
        for file in ["mem", "environ", "fd/0"] {
            let mut read = Command::new("cat");
            let done = read.arg(format!("/proc/{guard}/{file}")).uid(ALICE).gid(ALICE).output().unwrap();
            assert!(String::from_utf8_lossy(&done.stderr).contains("denied"), "{file}: {done:?}");
        }
        assert_eq!(guards().len(), 1);
    });
}

#[test]
fn a_supervisor_of_somebody_else_than_root_says_so_and_does_nothing() {
    on_stage("a_supervisor_of_somebody_else_than_root_says_so_and_does_nothing", || {
        let said = supervisor_of_alices();
        assert!(said.contains("must run as root") && said.contains("sudo"), "{said}");
        assert!(!fs::exists("/run/sudare").unwrap());
    });
}

#[test]
fn a_guard_leaves_when_its_display_ends() {
    on_stage("a_guard_leaves_when_its_display_ends", || {
        let _supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        session.end_server();
        until("its end", || {
            fs::read_to_string(file_of("dismissed")).unwrap() == format!("{}\n", guards()[0][3])
        });
        // The number is free for another session.
        fs::remove_file(x_socket(10)).unwrap();
        fs::remove_file(screen_socket(10)).unwrap();
        fs::remove_file(file_of("began-10")).unwrap();
        let next = Session::begin_as(10, BOB);
        until("the next session", || next.began());
        assert!(guards()[1][0].contains("--user bob "));
    });
}

/// A client of the session that is kept for a while. A machine that is slow may disconnect the first ones: the guard
/// was late.
fn one_that_stays(display: u32) -> Connection {
    for _ in 0..50 {
        let mut connection = Connection::to(display);
        sleep(1_200);
        if connection.is_there() {
            return connection;
        }
    }
    panic!("a healthy session keeps no client");
}

fn kill_guard(pid: &str) {
    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
}

#[test]
fn nobody_signs_in_before_a_running_session_is_covered() {
    on_stage("nobody_signs_in_before_a_running_session_is_covered", || {
        let run_dir = Path::new("/run/sudare");
        assert!(matches!(sign_in::ask(run_dir, ALICE), Err(SignInError::NoSupervisor { .. })));
        let supervisor = supervise();
        sign_in::ask(run_dir, ALICE).expect("a user without a session");
        let session = Session::begin(10);
        until("the session", || session.began());
        mode("visible");
        sign_in::ask(run_dir, ALICE).expect("the guard covers and says so");
        mode("deaf");
        sign_in::ask(run_dir, BOB).expect("the session of somebody else is none of his business");
        assert!(matches!(sign_in::ask(run_dir, ALICE), Err(SignInError::NotCovered)));
        // Its users cannot ask: they would have desktops covered.
        let python = "import socket; socket.socket(socket.AF_UNIX).connect('/run/sudare/sign-in')";
        let asked = Command::new("python3").args(["-c", python]).uid(ALICE).output().unwrap();
        let said = String::from_utf8_lossy(&asked.stderr);
        assert!(said.contains("Permission denied"), "{said}");
        supervisor.stop();
    });
}

#[test]
fn nobody_signs_in_to_a_session_that_has_no_guard() {
    on_stage("nobody_signs_in_to_a_session_that_has_no_guard", || {
        let run_dir = Path::new("/run/sudare");
        let supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        mode("fail");
        until("the third guard", || guards().len() >= 3);
        thread::sleep(Duration::from_millis(200));
        assert!(matches!(sign_in::ask(run_dir, ALICE), Err(SignInError::NotCovered)));
        mode("covered");
        until("a guard again", || sign_in::ask(run_dir, ALICE).is_ok());
        supervisor.stop();
        // The next supervisor finds the session before it answers. Its guard may have started by then, and covers
        // nothing.
        mode("deaf");
        let supervisor = supervise();
        assert!(matches!(sign_in::ask(run_dir, ALICE), Err(SignInError::NotCovered)));
        supervisor.stop();
    });
}

#[test]
fn the_guard_goes_on_when_whoever_signed_in_is_there_or_was_disconnected() {
    on_stage("the_guard_goes_on_when_whoever_signed_in_is_there_or_was_disconnected", || {
        let run_dir = Path::new("/run/sudare");
        sesman(2);
        let supervisor = supervise();
        let session = Session::begin(10);
        until("the session", || session.began());
        let orders = || fs::read_to_string(file_of("orders")).unwrap();
        let mut quick = Connection::signing_in();
        sign_in::ask(run_dir, ALICE).unwrap();
        let came = Instant::now();
        quick.end();
        until("the order to go on", || orders() == "cover 1\ngo-on 1\n");
        assert!(came.elapsed() >= Duration::from_millis(900), "{:?}", came.elapsed());
        let (mut slow, mut queued) = (Connection::signing_in(), Connection::signing_in());
        let began = Instant::now();
        sign_in::ask(run_dir, ALICE).unwrap();
        until("the end of who does not come", || !slow.is_there());
        assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
        assert_eq!(orders(), "cover 1\ngo-on 1\ncover 2\n", "not before");
        until("the order to go on", || orders().ends_with("go-on 2\n"));
        assert!(queued.is_there(), "who is still to be asked about is left alone");
        // A guard that starts meanwhile hears what the one before it was told.
        sign_in::ask(run_dir, ALICE).unwrap();
        kill_guard(&guards()[0][3]);
        until("the order for the next guard", || orders().ends_with("cover 3\ncover 3\n"));
        supervisor.stop();
    });
}

#[test]
fn whoever_has_sesmans_answer_when_a_session_begins_is_awaited() {
    on_stage("whoever_has_sesmans_answer_when_a_session_begins_is_awaited", || {
        sesman(1);
        let supervisor = supervise();
        let mut stalled = Connection::signing_in();
        let session = Session::begin(10);
        until("the session", || session.began());
        let orders = || fs::read_to_string(file_of("orders")).unwrap();
        until("the order to cover", || orders() == "cover 1\n");
        thread::sleep(Duration::from_millis(1_500));
        assert_eq!(orders(), "cover 1\n");
        stalled.end();
        until("the order to go on", || orders() == "cover 1\ngo-on 1\n");
        supervisor.stop();
    });
}

/// Listens as sesman does, and answers the first ones who ask.
fn sesman(answers: usize) {
    let sesman = std::net::TcpListener::bind(("127.0.0.1", 3350)).unwrap();
    thread::spawn(move || {
        let answer = |(number, connection): (usize, std::io::Result<std::net::TcpStream>)| {
            let mut connection = connection.unwrap();
            if number < answers {
                connection.write_all(b"display 10").unwrap();
            }
            connection
        };
        sesman.incoming().enumerate().map(answer).collect::<Vec<_>>()
    });
}
