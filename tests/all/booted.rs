//! The admin's page, followed literally with our packages on machines with systemd and Debian's own xrdp; and that nothing
//! that happens to our services ends a session (case S1). With `--long` only: it takes minutes, and Debian's mirror once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod doctor;

use std::path::PathBuf;

use sudare_stack::booted::field::Field;
use sudare_stack::booted::guide::{self, Followed};
use sudare_stack::booted::seat::{Seat, Shown};
use sudare_stack::booted::{self, BOOKWORM, Machine, Release, TOOLS, TRIXIE, XRDP_PACKAGES};
use sudare_test_kit::scene::{ALONE, Scene};
use sudare_test_kit::wait_until;

use crate::camera::emulated::target;

/// Restarts, crashes, reloads and upgrades on each release.
const EVENTS: usize = 50;
/// Who listens at the port, again and again; and that nobody does, so that the list is never empty.
const LISTENERS: &str = r#"(while :; do echo at $(ss -Htlnp 'sport = :3389' 2>/dev/null | grep -o '"[^"]*"' | sort -u); sleep 0.01; done) \
    >/srv/listeners 2>&1 </dev/null & echo $! >/srv/listeners.pid"#;
/// Ends the session and all of its programs.
const END_SESSION: &str = "kill $(pgrep -x Xorg) $(pgrep -x xrdp-chansrv); for try in $(seq 300); do pgrep -x xrdp-chansrv || exit 0; sleep 0.1; done; exit 1";
/// Files of ours, beside what stays on purpose.
const LEFT: &str = "find / -xdev -name '*sudare*' -not -path '/var/lib/sudare*' -not -path '/etc/sudare*' -not -path '/var/lib/dpkg/*' \
    -not -path '/proc/*' -not -path '/run/*' -not -path '/srv/*' -not -path '/packages*' -not -path '/var/cache/*' -not -path '/home/*' \
    -not -path '/var/lib/systemd/*' -not -path '/var/lib/private*' -not -path '/tmp/*' -not -path '/var/log/*' -not -path '/sys/*'";

/// Another machine, as far as its addresses go: a network namespace with an xrdp and no desktops.
const FAR: &str = r#"set -e
    systemctl disable -q --now xrdp
    ip netns add far
    ip link add near type veth peer name farside netns far
    ip addr add 192.0.2.8/24 dev near; ip link set near up
    ip -n far addr add 192.0.2.7/24 dev farside; ip -n far link set farside up; ip -n far link set lo up
    adduser -q xrdp ssl-cert >/dev/null
    ip netns exec far /usr/sbin/xrdp --nodaemon >/tmp/far.log 2>&1 </dev/null &
    for try in $(seq 60); do
        ip netns exec far ss -tlnH 2>/dev/null | grep -q :3389 && exit 0
        sleep 0.5
    done
    exit 1"#;
/// A machine that has just started, and people around it; or `None` with a loud word. With `--long` a missing tool fails
/// where the set-up promised it.
fn seat(release: Release) -> Option<Seat> {
    let skip = |why: &str| {
        println!("SKIPPED: a machine with systemd ({}): {why}", release.name);
        None
    };
    if std::env::var_os("SUDARE_LONG").is_none() {
        return skip("only `cargo xtask test --long` runs it");
    }
    if let Some(why) = booted::missing() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        let required = TOOLS.iter().all(|(tool, _)| required.split(',').any(|name| name == *tool));
        assert!(!required, "{why}");
        return skip(&why);
    }
    let Some(photographs) = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from) else {
        return skip("no photographs. `cargo xtask setup` fetches them");
    };
    match Seat::meet(release, &target().join("booted"), &photographs) {
        Ok(seat) => Some(seat),
        Err(error) if format!("{error:#}").contains("cannot be had") => skip(&format!("{error:#}")),
        Err(error) => panic!("{error:#}"),
    }
}

fn typed(seat: &Seat, command: &str) -> String {
    let said = seat.types(command).unwrap();
    println!("$ {command}\n{said}");
    said
}

fn tell(command: &str, said: &str) {
    println!("$ {command}\n{said}");
}

fn problems(seat: &Seat) -> Vec<String> {
    guide::problems(&seat.machine, &mut tell).unwrap()
}

fn assert_only_nobody_is_enrolled(problems: &[String]) {
    assert!(matches!(problems, [one] if one.starts_with("enrolled devices: ")), "{problems:?}");
}

/// The commands of a section of the page, from nothing to a gate.
fn follow_the_page(seat: &Seat, heading: &str) -> Followed {
    let followed = guide::follow(seat, heading, tell).unwrap();
    assert_only_nobody_is_enrolled(&followed.problems);
    followed
}

/// Who listened at the port since [`LISTENERS`] began.
fn listeners(machine: &Machine) -> Vec<String> {
    let said = machine.must("kill $(cat /srv/listeners.pid); sort /srv/listeners | uniq -c", "").unwrap();
    said.lines().map(|line| line.trim().to_owned()).collect()
}

/// The employee's way, after which the desktop is seen.
fn enrol_and_log_on(seat: &mut Seat) {
    seat.enrol().unwrap();
    guide::follow(seat, "## 5. ", tell).unwrap();
    assert_eq!(problems(seat), Vec::<String>::new());
    seat.connect(true).unwrap();
    seat.wait_for(Shown::Desktop).unwrap();
}

fn lived_with(release: Release) {
    let Some(mut seat) = seat(release) else { return };
    let before = seat.machine.must("md5sum /etc/xrdp/*.ini", "").unwrap();
    follow_the_page(&seat, "## 2. ");
    assert_eq!(
        seat.machine.must("md5sum /etc/xrdp/*.ini", "").unwrap(),
        before,
        "xrdp's settings are its own"
    );

    seat.sit_down().unwrap();
    seat.connect(false).unwrap();
    seat.wait_for(Shown::Words).unwrap();
    seat.wait_for_session().unwrap();
    assert_eq!(seat.shown().unwrap(), Shown::Words, "without the plug-in nobody sees the desktop");
    enrol_and_log_on(&mut seat);

    // What the connection is made of is not this test's imagination.
    let state = seat.state().unwrap();
    assert!(!state.contains("gone") && state.contains("ino:"), "{state}");
    records_of_another_host_change_nothing(&seat);
    somebody_looks(&seat);
    let field = Field::play(&seat, EVENTS).unwrap();
    println!("{} events, back {:?}, p95 {:?}: {field:?}", field.events, field.back.len(), field.back_p95());
    assert_eq!(field.lost, Vec::<String>::new());
    // Restarts of the recorder and of who knows the owner cover; the rest need not.
    assert!(field.back.len() >= 12 && field.looks > 1_000, "{field:?}");
    assert_eq!(problems(&seat), Vec::<String>::new());

    seat.machine.reboot().unwrap();
    seat.sit_down().unwrap();
    wait_until("everything to be well again", || Ok(problems(&seat).is_empty())).unwrap();
    seat.connect(true).unwrap();
    seat.wait_for(Shown::Desktop).unwrap();

    removed_while_a_session_runs(&seat, &before);
}

fn records_of_another_host_change_nothing(seat: &Seat) {
    let make =
        "set -e; cd /srv/office; mkdir -p other; sudare-host init --state-dir /srv/office/state >/dev/null
        sudare-authority sign-host --key organisation.key --host-id vdi-2 --out other/host.record \\
            --public-key \"$(sudare-host key --state-dir /srv/office/state)\"
        sudare-authority sign-policy --key organisation.key --in policy.toml --out other/policy.record
        cp organisation.pub other; md5sum /var/lib/sudare/*.record /var/lib/sudare-recorder/*.record";
    let before = seat.machine.must(make, "").unwrap();
    let refused = seat.machine.run("sudare-setup records /srv/office/other", "").unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("nothing was changed"), "{said}");
    let after =
        seat.machine.must("md5sum /var/lib/sudare/*.record /var/lib/sudare-recorder/*.record", "").unwrap();
    assert!(before.ends_with(&after), "{before}{after}");
    assert_eq!(problems(seat), Vec::<String>::new());
}

/// Covered, with evidence that the log of the signed record proves to hold, and that verifies.
fn somebody_looks(seat: &Seat) {
    seat.show(Scene { stranger: 1.0, ..ALONE });
    seat.wait_for(Shown::Words).unwrap();
    seat.show(ALONE);
    seat.wait_for(Shown::Desktop).unwrap();
    let receipts = wait_until("a receipt", || {
        let said = seat.employee_types("sudare receipts")?;
        Ok(if said.contains("vdi-1") { Ok(said) } else { Err(said) })
    });
    println!("{}", receipts.unwrap());
    let verify = "systemctl reload sudare-recorder; /usr/lib/sudare/sudare-audit verify /var/lib/sudare-recorder/evidence --key /etc/sudare/log.vkey \\
        --org-key /var/lib/sudare/organisation.pub";
    tell(verify, &seat.machine.must(verify, "").unwrap());
}

fn removed_while_a_session_runs(seat: &Seat, settings: &str) {
    let said = typed(seat, "apt-get -qq remove -y sudare-host");
    assert!(said.contains("1 xrdp session(s) go on") && said.contains("再起動"), "{said}");
    let machine = &seat.machine;
    machine.must("pgrep -x Xorg && ! pgrep -x sudare-gate", "").unwrap();
    seat.wait_for(Shown::Black).unwrap();
    machine.must("systemctl restart xrdp", "").unwrap();
    let listens = |program: &str| {
        let look = "for try in $(seq 600); do ss -Htlnp 'sport = :3389' | grep -q \"\\\"$1\\\"\" && exit 0; sleep 0.1; done; exit 1";
        machine.must(look, program).unwrap();
    };
    listens("xrdp");
    assert_eq!(machine.must("md5sum /etc/xrdp/*.ini", "").unwrap(), settings);
    // Debian's xrdp has forgotten the session, whose programs still run; nothing is installed before they have ended.
    machine.must(END_SESSION, "").unwrap();
    // To dpkg this is no first installation, and it guards all the same. Without sessions, a removal is complete.
    typed(seat, "apt-get -qq install -y ./sudare-host_*.deb");
    listens("systemd");
    assert_eq!(problems(seat), Vec::<String>::new());
    let said = typed(seat, "apt-get -qq remove -y sudare-host");
    assert!(said.contains("at its own port again, where NOBODY"), "{said}");
    listens("xrdp");
    let said = typed(seat, "apt-get -qq purge -y sudare-host");
    assert!(said.contains("evidence stay in /etc/sudare"), "{said}");
    machine.must("test -s /var/lib/sudare/host.key -a -s /var/lib/sudare-recorder/evidence/checkpoint -a -e /etc/sudare/holds.txt", "").unwrap();
    typed(seat, "apt-get -qq purge -y sudare-client sudare-authority");
    assert_eq!(machine.must(LEFT, "").unwrap(), "");
}

#[test]
fn on_debian_12_nothing_that_happens_to_our_services_ends_a_connection() {
    lived_with(BOOKWORM);
}

#[test]
fn on_debian_13_nothing_that_happens_to_our_services_ends_a_connection() {
    lived_with(TRIXIE);
}

/// On a host that has no xrdp yet, and on one that guards nobody yet.
fn no_desktop_is_unguarded(release: Release) {
    let Some(mut seat) = seat(release) else { return };
    seat.sit_down().unwrap();
    // Somebody works, unguarded. For TLS, xrdp has to read its key.
    seat.machine
        .must("adduser -q xrdp ssl-cert >/dev/null && systemctl restart xrdp && sleep 3", "")
        .unwrap();
    seat.connect(false).unwrap();
    seat.wait_for(Shown::Desktop).unwrap();
    let before = seat.machine.must("pgrep -x Xorg", "").unwrap();
    let refused =
        seat.machine.run("cd /srv/desk && apt-get -qq install -y ./sudare-host_*.deb 2>&1", "").unwrap();
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    println!("{said}");
    assert!(
        !refused.status.success()
            && said.contains("Ask their users to log off")
            && said.contains("セッション 1 個"),
        "{said}"
    );
    assert_eq!(seat.machine.must("pgrep -x Xorg", "").unwrap(), before);
    seat.wait_for(Shown::Desktop).unwrap();

    // Nobody works any more. xrdp goes, and comes with the guard in one command.
    seat.machine.must("dpkg --remove --force-remove-reinstreq sudare-host 2>/dev/null; true", "").unwrap();
    seat.machine.must(END_SESSION, "").unwrap();
    typed(&seat, "apt-get -qq purge -y xrdp xorgxrdp");
    seat.machine.must(LISTENERS, "").unwrap();
    let said = typed(&seat, &format!("apt-get -qq install -y {XRDP_PACKAGES}/*.deb ./sudare-host_*.deb"));
    seat.sign(&said).unwrap();
    typed(&seat, "sudare-setup records records");
    seat.connect(false).unwrap();
    seat.wait_for(Shown::Words).unwrap();
    assert_only_nobody_is_enrolled(&problems(&seat));
    let listeners = listeners(&seat.machine);
    println!("{listeners:?}");
    // Nobody, then systemd for the gate, with a child of its own for a moment.
    let is_systemd = |of: &&String| of.ends_with("\"systemd\"");
    assert!(
        !listeners.iter().any(|of| of.contains("xrdp")) && listeners.iter().any(|of| is_systemd(&of)),
        "{listeners:?}"
    );
}

#[test]
fn on_debian_12_no_desktop_is_unguarded_for_a_moment() {
    no_desktop_is_unguarded(BOOKWORM);
}

#[test]
fn on_debian_13_no_desktop_is_unguarded_for_a_moment() {
    no_desktop_is_unguarded(TRIXIE);
}

#[test]
fn before_another_host_the_page_leads_to_a_gate_past_which_nobody_gets() {
    let Some(mut seat) = seat(BOOKWORM) else { return };
    seat.machine.must(FAR, "").unwrap();
    follow_the_page(&seat, "## 3. ");
    seat.sit_down().unwrap();
    seat.connect(false).unwrap();
    // Without a name that it knows, that xrdp shows its own log-on screen, which is covered as well.
    seat.wait_for(Shown::Words).unwrap();
    assert!(seat.state().unwrap().contains("ino:"));
    // Through the gate still, after the rule on the other machine.
    assert_only_nobody_is_enrolled(&problems(&seat));
}

#[test]
fn the_pages_have_few_commands() {
    let xrdp = guide::commands("## 2. ").unwrap();
    let other = guide::commands("## 3. ").unwrap();
    let device = guide::commands("## 5. ").unwrap();
    println!("before this machine's xrdp: {xrdp:#?}\nbefore another host: {other:#?}\na device: {device:#?}");
    assert!(xrdp.len() == 3 && other.len() <= 6 && device.len() <= 3);
}
