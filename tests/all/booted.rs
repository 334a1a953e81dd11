//! The admin's page, followed literally on machines with systemd and Debian's own xrdp; and that nothing that happens to
//! our services ends a connection (case S1). With `--long` only: it takes minutes, and Debian's mirror once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod doctor;
mod guide;

use sudare_stack::booted::{self, BOOKWORM, Machine, Release, TOOLS, TRIXIE};
use sudare_test_kit::{checkout, programs, wait_until};

use crate::camera::emulated::target;
use crate::hardening::installing::PROGRAMS;

/// A checkout with a finished build, in which the page's commands are typed.
const CHECKOUT: &str = "mkdir -p /srv/checkout/target && cd /srv/checkout && \
    ln -s /source/deploy /source/docs . && ln -s /programs target/release";
/// What the security team does with the host's line, and where the admin puts what comes back.
const SIGN: &str = r#"set -e
    mkdir -p /srv/office /srv/checkout/records; cd /srv/office
    A=/programs/sudare-authority
    $A new --out organisation.key >/dev/null
    a=$($A new-auditor --out a.age); b=$($A new-auditor --out b.age)
    printf 'organisation = "Demo"\nserial = 1\nauditors = ["%s", "%s"]\n' "$a" "$b" >policy.toml
    $A sign-host --key organisation.key --host-id vdi-1 --public-key "$1" --out host.record
    $A sign-policy --key organisation.key --in policy.toml --out policy.record
    mv host.record policy.record /srv/checkout/records; cp organisation.pub /srv/checkout/records"#;
/// A user whose desktop is red and yellow, and a client without the plugin that logs on as that user.
const CONNECT: &str = r#"set -e
    useradd -m -s /bin/bash alice; echo 'alice:a desk' | chpasswd
    printf '#!/bin/sh\nxterm -geometry 80x24+0+0 -bg yellow &\nexec openbox\n' >/home/alice/.xsession
    chmod +x /home/alice/.xsession; chown alice: /home/alice/.xsession
    Xvfb :99 -screen 0 1024x700x24 -noreset >/dev/null 2>&1 &
    for try in $(seq 120); do [ ! -S /tmp/.X11-unix/X99 ] || break; sleep 0.5; done
    client=$(command -v xfreerdp || command -v xfreerdp3)
    DISPLAY=:99 nohup $client /v:127.0.0.1:3389 /u:alice '/p:a desk' /size:1024x700 /cert:ignore -decorations \
        >/srv/client.log 2>&1 </dev/null &
    echo $! >/srv/client.pid"#;
/// Pixels of the user's window: in the session, and on the client's screen; and those of the cover's words.
const LOOK: &str = r#"
    yellow() { convert "$1" -fill black +opaque yellow -format '%[fx:int(mean*w*h*3/2+0.5)]' info:; }
    xorg=$(pgrep -x Xorg | head -1)
    export XAUTHORITY=/home/alice/.Xauthority
    [ -n "$xorg" ] && DISPLAY=:10 import -window root /tmp/session.png 2>/dev/null
    unset XAUTHORITY
    DISPLAY=:99 import -window root /tmp/client.png
    lit=$(convert /tmp/client.png -threshold 30% -format '%[fx:int(mean*w*h+0.5)]' info:)
    echo "$(yellow /tmp/session.png 2>/dev/null || echo 0) $(yellow /tmp/client.png) $lit""#;
/// What has to stay: the X server, the gate's process, its connection, the client.
const STATE: &str = r#"
    client=$(cat /srv/client.pid); kill -0 $client || client=gone
    tcp=$(ss -tneH state established 'sport = :3389' 2>/dev/null | grep -o 'ino:[0-9]*')
    echo Xorg $(pgrep -x Xorg) gate $(pgrep -x sudare-gate) tcp $tcp client $client"#;
/// What happens to services, in the order of their weight.
const EVENTS: [&str; 12] = [
    "systemctl reload sudare-recorder sudare-owner",
    "systemctl reload 'sudare-gate@*.service'",
    "systemctl restart sudare-recorder",
    "systemctl kill --signal=KILL sudare-recorder",
    "systemctl restart sudare-owner",
    "systemctl kill --signal=KILL sudare-owner",
    "systemctl restart sudare-gate.socket",
    "systemctl stop sudare-gate.socket; sleep 1; systemctl start sudare-gate.socket",
    "systemctl daemon-reload",
    "deploy/linux/host/install.sh --programs target/release",
    // Other bytes, which are the same program.
    "mkdir /srv/new; cp target/release/sudare-* /srv/new 2>/dev/null; \
     for name in gate owner recorder picture nla host; do printf x >>/srv/new/sudare-$name; done; \
     deploy/linux/host/install.sh --programs /srv/new",
    "deploy/linux/host/install.sh --records records",
];

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
/// What an older version leaves running: its supervisor, a guard that outlives it, and PAM's line.
const OLD_KIND: &str = r#"set -e
    for name in sudare-supervisor sudare-guard sudare-blanker sudare-sign-in; do cp /bin/sleep /usr/local/bin/$name; done
    printf '[Service]\nKillMode=process\nExecStart=/bin/sh -c "/usr/local/bin/sudare-blanker 9999 & exec /usr/local/bin/sudare-supervisor 9999"\n[Install]\nWantedBy=multi-user.target\n' \
        >/etc/systemd/system/sudare-supervisor.service
    mkdir -p /etc/systemd/system/xrdp.service.d
    printf '[Unit]\nRequires=sudare-supervisor.service\n' >/etc/systemd/system/xrdp.service.d/sudare.conf
    sed -i '1i account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /etc/sudare/host.toml' /etc/pam.d/xrdp-sesman
    systemctl daemon-reload; systemctl enable -q --now sudare-supervisor; systemctl start xrdp; pgrep -x sudare-blanker"#;

/// The machine, or `None` with a loud word. With `--long` a missing tool fails where the set-up promised it.
fn machine(release: Release) -> Option<Machine> {
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
    // What is installed, and what the security team has elsewhere.
    let ours = programs(&[&PROGRAMS[..], &["sudare-authority"]].concat()).unwrap();
    let kept = target().join("booted");
    match Machine::boot(release, &kept, &[(checkout(), "/source"), (&ours, "/programs")]) {
        Ok(machine) => Some(machine),
        Err(error) if format!("{error:#}").contains("cannot be had") => skip(&format!("{error:#}")),
        Err(error) => panic!("{error:#}"),
    }
}

fn typed(machine: &Machine, command: &str) -> String {
    let said = machine.must(&format!("cd /srv/checkout && {command}"), "").unwrap();
    println!("$ {command}\n{said}");
    said
}

/// Doctor ends with an error as long as there is a problem.
fn problems(machine: &Machine) -> Vec<String> {
    let output = machine.run("sudare-host doctor --config /etc/sudare/host.toml", "").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().count() > 25, "{said}");
    said.lines().filter_map(|line| line.strip_prefix("PROBLEM  ")).map(str::to_owned).collect()
}

/// The commands of a section of the page, from nothing to a gate.
fn follow_the_page(machine: &Machine, heading: &str) {
    machine.must(CHECKOUT, "").unwrap();
    let mut pin = String::new();
    for command in guide::commands(heading) {
        // It is typed on the other machine.
        if command.starts_with("nft ") {
            let script = "ip netns exec far bash -c \"$1\" && ! timeout 3 ip netns exec far bash -c 'exec 3<>/dev/tcp/192.0.2.7/3389'";
            machine.must(script, &command).unwrap();
            continue;
        }
        if command.contains("doctor") {
            let problems = problems(machine);
            assert!(matches!(&problems[..], [one] if one.starts_with("enrolled devices: ")), "{problems:?}");
            continue;
        }
        let said = typed(machine, &command.replace("#PIN", &format!("#{pin}")));
        if command.contains("sudare-host pin ") {
            said.trim().clone_into(&mut pin);
        }
        if let Some(line) = said.lines().find(|line| line.starts_with("sudare-ed25519 ")) {
            machine.must(SIGN, line).unwrap();
        }
    }
}

fn counts(machine: &Machine) -> Vec<u64> {
    let said = machine.must(LOOK, "").unwrap();
    said.split_whitespace().map(|count| count.parse().unwrap()).collect()
}

fn goes_on_whatever_happens(release: Release) {
    let Some(machine) = machine(release) else { return };
    let before = machine.must("cat /etc/xrdp/xrdp.ini", "").unwrap();
    follow_the_page(&machine, "## 2. ");

    machine.must(CONNECT, "").unwrap();
    // There is a desktop, and of it the client sees the cover's words.
    let shown = wait_until("a desktop behind the cover", || {
        let counts = counts(&machine);
        Ok((counts[0] > 10_000 && counts[2] > 500).then_some(counts))
    });
    let counts_then = shown.unwrap();
    assert_eq!(counts_then[1], 0, "the client sees the desktop: {counts_then:?}");
    let state = machine.must(STATE, "").unwrap();
    assert!(!state.contains("gone") && state.contains("ino:"), "{state}");
    for event in EVENTS {
        typed(&machine, event);
        machine.must("sleep 3", "").unwrap();
        assert_eq!(machine.must(STATE, "").unwrap(), state, "after {event}");
        assert_eq!(counts(&machine)[1], 0, "after {event}");
    }
    assert_eq!(problems(&machine).len(), 1, "as before");

    // What the connection is made of is not this test's imagination.
    machine.must("kill $(pgrep -x sudare-gate)", "").unwrap();
    wait_until("the connection to end with its gate", || {
        Ok((machine.must(STATE, "")? != state).then_some(()))
    })
    .unwrap();
    typed(&machine, "deploy/linux/host/install.sh --uninstall");
    assert_eq!(machine.must("cat /etc/xrdp/xrdp.ini", "").unwrap(), before);
    let left = machine.must("find / -xdev -name '*sudare*' -not -path '/var/*' -not -path '/etc/sudare*' \
        -not -path '/proc/*' -not -path '/run/*' -not -path '/srv/*' -not -path '/source*' -not -path '/programs*'", "");
    assert_eq!(left.unwrap(), "");
}

#[test]
fn on_debian_12_nothing_that_happens_to_our_services_ends_a_connection() {
    goes_on_whatever_happens(BOOKWORM);
}

#[test]
fn on_debian_13_nothing_that_happens_to_our_services_ends_a_connection() {
    goes_on_whatever_happens(TRIXIE);
}

#[test]
fn before_another_host_the_page_leads_to_a_gate_past_which_nobody_gets() {
    let Some(machine) = machine(BOOKWORM) else { return };
    machine.must(FAR, "").unwrap();
    follow_the_page(&machine, "## 3. ");
    machine.must(CONNECT, "").unwrap();
    // Without a name that it knows, that xrdp shows its own log-on screen, which is covered as well.
    let shown = wait_until("the cover", || {
        let counts = counts(&machine);
        Ok((counts[2] > 500).then_some(counts))
    });
    println!("{:?}", shown.unwrap());
    assert!(machine.must(STATE, "").unwrap().contains("ino:"));
    // Through the gate still, after the rule on the other machine.
    assert_eq!(problems(&machine).len(), 1);
}

#[test]
fn what_covered_inside_of_sessions_makes_room_for_the_gate() {
    let Some(machine) = machine(BOOKWORM) else { return };
    follow_the_page(&machine, "## 2. ");
    // Keys, records and log stay from here on.
    typed(&machine, "deploy/linux/host/install.sh --uninstall");
    machine.must(OLD_KIND, "").unwrap();
    let said = typed(&machine, "deploy/linux/host/install.sh --programs target/release");
    assert!(
        said.contains("takes the place of sudare-supervisor.service") && said.contains("upgraded."),
        "{said}"
    );
    let left = "pgrep -l 'sudare-(gua|bla|sup)'; ls /usr/local/bin /etc/systemd/system | grep -E 'supervisor|guard|blanker|sign-in'; grep sudare /etc/pam.d/xrdp-sesman; true";
    assert_eq!(machine.must(left, "").unwrap(), "");
    let problems = problems(&machine);
    assert!(matches!(&problems[..], [one] if one.starts_with("enrolled devices: ")), "{problems:?}");
    let enabled = "systemctl is-enabled sudare-gate.socket sudare-owner sudare-recorder xrdp | sort -u";
    assert_eq!(machine.must(enabled, "").unwrap(), "enabled\n");
}

#[test]
fn the_pages_have_few_commands() {
    let xrdp = guide::commands("## 2. ");
    let other = guide::commands("## 3. ");
    println!("before this machine's xrdp: {xrdp:#?}\nbefore another host: {other:#?}");
    assert!((3..=5).contains(&xrdp.len()) && (4..=8).contains(&other.len()));
}
