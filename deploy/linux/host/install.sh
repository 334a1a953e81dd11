#!/bin/sh
# Installs Sudare's services on a host with systemd, upgrades them, or removes them again.
#
#   install.sh [--programs DIR] [--root DIR]    copies the programs in DIR (default: beside this script)
#   install.sh --gate [--programs DIR]          the same with the gate before xrdp, in place of covers inside of its
#                                               sessions; once it is there, it stays so without this option
#   install.sh --records DIR                    puts the records that the security team signed where they belong
#   install.sh --uninstall [--root DIR]         removes what was installed; keys, settings and evidence stay
#
# Nothing is started on a new host: keys and records come first. Where an older version runs as sudare-host.service,
# sudare-supervisor.service takes its place. Upgrade while nobody works: xrdp stops meanwhile, which disconnects
# clients, and Debian's xrdp loses running sessions whenever it stops.
# --root is put before every path, for packages and images.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
programs=$here
root=
action=install
gate=
records=

# The terminal may be a session of this host's xrdp, which an upgrade stops.
say() { printf '%s\n' "$*" || true; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2 || true
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --programs) programs=${2:?"--programs needs a folder"}; shift ;;
    --root) root=${2:?"--root needs a folder"}; shift ;;
    --gate) gate=yes ;;
    --records)
        action=records
        records=${2:?"--records needs a folder"}
        shift
        ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $1. Use --programs DIR, --gate, --records DIR, --root DIR or --uninstall" ;;
    esac
    shift
done

# What a host runs. The security team's offline key, the witness and the demo host belong on other machines, so
# sudare-authority, sudare-witness and sudare-embedded stay where they were built.
# sudare-host comes last: see the order of an upgrade below.
common_binaries="sudare-recorder sudare-ship sudare-forward sudare-notary sudare-audit sudare-host"
common_packages="-p sudare-recorder -p sudare-ship -p sudare-forward -p sudare-audit -p sudare-admin"
common_units="sudare-recorder.service sudare-ship.service sudare-forward.service
    sudare-retention.service sudare-retention.timer"
# What covers inside of xrdp's sessions, and what covers before xrdp: a host has one of the two.
session_binaries="sudare-supervisor sudare-sign-in sudare-guard sudare-blanker"
session_packages="-p sudare-supervisor -p sudare-guard -p sudare-blanker"
session_units="sudare-supervisor.service"
gate_binaries="sudare-gate"
gate_packages="-p sudare-gate"
gate_units="sudare-gate.socket sudare-gate@.service"
# Of the gate, where this version has them.
gate_extra="sudare-picture sudare-owner sudare-nla"
gate_extra_units="sudare-owner.service"
# Until the programs were divided, sudare-host did the work of most of them, and this unit was the supervisor's.
old_unit=sudare-host.service
unit_dir=$root/etc/systemd/system

# The gate stays until it is uninstalled: an update without the option must not open the port to xrdp again.
[ ! -e "$unit_dir/sudare-gate.socket" ] || gate=yes
if [ -n "$gate" ]; then
    binaries="$gate_binaries $common_binaries"
    packages="$gate_packages $common_packages"
    units="$common_units $gate_units"
    for name in $gate_extra; do
        [ ! -f "$programs/$name" ] || binaries="$name $binaries"
    done
    for name in $gate_extra_units; do
        [ ! -f "$here/$name" ] || units="$units $name"
    done
    drop_in=xrdp-behind-gate.conf
else
    binaries="$session_binaries $common_binaries"
    packages="$session_packages $common_packages"
    units="$common_units $session_units"
    drop_in=xrdp-needs-sudare.conf
fi

# xrdp gives whoever signs in the user's running session: PAM has it covered first.
pam=$root/etc/pam.d/xrdp-sesman
pam_line="account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /etc/sudare/host.toml"
# Our line, as this or an older version wrote it (`sudare-host … sign-in`) or an administrator rewrote it.
pam_ours='^[[:space:]]*-?account[[:space:]].*(sudare-sign-in|sudare-host.*[[:space:]]sign-in)([[:space:]]|$)'

# xrdp listens where it is told here. Its comments begin with ; or #, and the first of two values counts.
ini=$root/etc/xrdp/xrdp.ini
# xrdp skips the eight characters of unix://. and takes the rest as the path.
gate_port='port=unix://./run/sudare-xrdp/socket'
# Before a line that ours stands for.
ini_kept=';sudare;'

# Below --root nothing runs.
is_running() {
    [ -z "$root" ] || return 1
    case $(systemctl is-active "$1" 2>/dev/null || true) in
    active | activating | reloading | deactivating) return 0 ;;
    *) return 1 ;;
    esac
}

# put MODE FILE TARGET: renames a copy into place, so that a running program keeps its old file. A target that is the
# same already keeps its age: doctor compares it with when xrdp started.
put() {
    if cmp -s -- "$2" "$3"; then
        chmod "$1" "$3"
        return
    fi
    new=$(dirname -- "$3")/.$(basename -- "$3").new
    install -D -m "$1" -- "$2" "$new"
    mv -f -- "$new" "$3"
}

# Replaces every line of ours by "$1" at the top, byte by byte, whatever the encoding of the comments. The new file is
# renamed over the old one: at no moment is a line missing, or twice there, or half written. Owner and mode stay.
write_pam() {
    # The x keeps empty lines at the end.
    rest=$(LC_ALL=C sed -E "/$pam_ours/d" "$pam" && printf x) || fail "$pam cannot be read"
    wanted=$1${rest%x}
    if printf '%s' "$wanted" | cmp -s - "$pam"; then
        return
    fi
    # Behind a symbolic link, so that the link stays.
    target=$(readlink -f -- "$pam")
    new=$(dirname -- "$target")/.$(basename -- "$target").new
    # sync: after a power cut an empty file would let everybody past the cover.
    if ! { cp -a -- "$target" "$new" && printf '%s' "$wanted" >"$new" && sync -- "$new" && mv -f -- "$new" "$target"; }; then
        rm -f -- "$new"
        fail "$pam cannot be replaced. It is unchanged; see whether the disk is full or read-only"
    fi
}

# xrdp.ini as it was before us, byte by byte. Where an administrator has changed our line, theirs stays.
ini_without_gate() {
    LC_ALL=C sed -E "/^${ini_kept}/{
        N
        s|^${ini_kept}(.*)\\n$gate_port\$|\\1|
        s|^${ini_kept}[^\\n]*\\n||
    }
    \\|^$gate_port\$|d" "$1"
}

# Every port of [Globals] becomes ours; where there is none, which means 3389, ours is the first line of the section.
ini_with_gate() {
    globals='/^[[:space:]]*\[globals\]/I'
    if LC_ALL=C sed -nE "$globals,/^[[:space:]]*\[/{/^[[:space:]]*port[[:space:]]*=/Ip}" "$1" | grep -q .; then
        LC_ALL=C sed -E "$globals,/^[[:space:]]*\[/s|^[[:space:]]*port[[:space:]]*=.*|$ini_kept&\\n$gate_port|I" "$1"
    else
        LC_ALL=C sed -E "${globals}a\\$gate_port" "$1"
    fi
}

# write_ini with|without: like write_pam, the new file is renamed over the old one. Owner and mode stay.
write_ini() {
    target=$(readlink -f -- "$ini")
    new=$(dirname -- "$target")/.$(basename -- "$target").new
    bare=$new.bare
    failed="$ini cannot be replaced. It is unchanged; see whether the disk is full or read-only"
    if ! { cp -a -- "$target" "$new" && ini_without_gate "$target" >"$bare"; }; then
        rm -f -- "$new" "$bare"
        fail "$failed"
    fi
    if ! { if [ "$1" = with ]; then ini_with_gate "$bare"; else cat -- "$bare"; fi >"$new" && sync -- "$new"; }; then
        rm -f -- "$new" "$bare"
        fail "$failed"
    fi
    rm -f -- "$bare"
    if cmp -s -- "$new" "$target"; then
        rm -f -- "$new"
    else
        mv -f -- "$new" "$target" || fail "$failed"
    fi
}

# Removes the links by which targets start the unit at boot.
disable() {
    for link in "$unit_dir"/*.wants/"$1"; do
        [ ! -L "$link" ] || rm -f -- "$link"
    done
}

remove_all() {
    # PAM first: without the program that its line names, nobody could sign in.
    if [ -f "$pam" ] && LC_ALL=C grep -Eq "$pam_ours" "$pam"; then
        write_pam ""
    fi
    [ ! -f "$ini" ] || write_ini without
    # Connections that are open at this moment are covered and end.
    [ -n "$root" ] || systemctl stop sudare-gate.socket 'sudare-gate@*.service' 2>/dev/null || true
    for unit in $old_unit $common_units $session_units $gate_units $gate_extra_units; do
        [ -n "$root" ] || systemctl disable --now "$unit" 2>/dev/null || true
        disable "$unit"
        rm -f -- "$unit_dir/$unit"
    done
    rm -f -- "$unit_dir/xrdp.service.d/sudare.conf"
    rm -f -- "$root/usr/share/doc/sudare/README.md"
    rmdir -- "$unit_dir/xrdp.service.d" "$root/usr/share/doc/sudare" 2>/dev/null || true
    for name in sudare.conf sudare-gate.conf; do
        rm -f -- "$root/usr/lib/sysusers.d/$name" "$root/usr/lib/tmpfiles.d/$name"
    done
    for binary in $common_binaries $session_binaries $gate_binaries $gate_extra; do
        rm -f -- "$root/usr/local/bin/$binary"
    done
    [ -n "$root" ] || systemctl daemon-reload
    say "Keys, settings and evidence stay in /etc/sudare and /var/lib/sudare*. The security team says when they may go."
    [ -n "$root" ] || is_running xrdp ||
        say "xrdp is stopped. Nobody guards its sessions any more; to start it all the same: systemctl start xrdp"
}

# as USER GROUP COMMAND…: what it writes belongs to that user.
as() {
    user=$1
    group=$2
    shift 2
    setpriv --reuid "$user" --regid "$group" --init-groups -- "$@"
}

settings=/etc/sudare/host.toml

# Keys of a host that has none, and what the security team needs of them.
make_keys() {
    as sudare sudare sudare-host init --config "$settings" >/dev/null &&
        as sudare-recorder sudare-evidence sudare-host init --recorder --config "$settings" >/dev/null ||
        fail "the keys could not be made. Mend what it says above, then run this again"
    say "The line for the security team, who send back organisation.pub, host.record and policy.record:"
    as sudare sudare sudare-host key --config "$settings"
}

# The three records of the security team, for each account that reads them, and the line that they need in return.
put_records() {
    [ "$(id -u)" = 0 ] && [ -z "$root" ] || fail "root is required to give records to their accounts, without --root"
    for name in organisation.pub host.record policy.record; do
        [ -f "$records/$name" ] || fail "$records/$name does not exist. The security team sends it"
    done
    for name in organisation.pub host.record policy.record; do
        install -o sudare -g sudare -m 0600 -- "$records/$name" "/var/lib/sudare/$name"
    done
    for name in organisation.pub host.record; do
        install -o sudare-recorder -g sudare-evidence -m 0640 -- "$records/$name" "/var/lib/sudare-recorder/$name"
    done
    key=$(sudare-recorder --print-key --config "$settings") || fail "the records are there, but the recorder cannot use them"
    printf '%s\n' "$key" >/etc/sudare/log.vkey
    say "The line for the security team, by another way than the evidence goes (it is in /etc/sudare/log.vkey):"
    say "$key"
}

if [ "$action" = uninstall ]; then
    remove_all
    exit 0
fi
if [ "$action" = records ]; then
    put_records
    exit 0
fi

# What covers inside of sessions makes room for the gate: nobody looks while neither is there.
retire_session_covers() {
    if [ -e "$unit_dir/$old_unit" ]; then
        fail "$old_unit is of an older version. Run this without --gate first, then again with it"
    fi
    if is_running sudare-supervisor; then
        say "The gate takes the place of sudare-supervisor. xrdp stops now and stays stopped: clients are disconnected"
        trap '' HUP
        systemctl stop xrdp ||
            fail "xrdp does not stop. The supervisor still guards. See journalctl -u xrdp, then run this again"
        systemctl disable --now sudare-supervisor 2>/dev/null ||
            fail "sudare-supervisor does not stop, and xrdp stays stopped. See journalctl -u sudare-supervisor"
    fi
    # Its line names a program that goes.
    if [ -f "$pam" ] && LC_ALL=C grep -Eq "$pam_ours" "$pam"; then
        write_pam ""
    fi
    for unit in $session_units; do
        disable "$unit"
        rm -f -- "$unit_dir/$unit"
    done
    for binary in $session_binaries; do
        rm -f -- "$root/usr/local/bin/$binary"
    done
}

# An upgrade from sudare-host.service, in this order: at each step a sign-in is either covered or refused, and whoever
# is connected is either guarded or disconnected. If it stops half-way, run it again: it does the rest, and says what to
# start if xrdp is stopped by then.
#
#   1. the new programs, beside the old sudare-host that still runs
#   2. users, folders, units; systemd reads them, so a recorder that crashes now comes back as the new program
#   3. PAM's line: sudare-sign-in asks the old supervisor, by the same socket, as sudare-host did
#   4. xrdp stops, so that nobody looks; then the old supervisor, whose guards cover and exit while their blankers
#      go on covering. From here to step 6 PAM refuses every sign-in
#   5. the new sudare-host, now that nothing starts the old one any more
#   6. the new supervisor, which finds the sessions and guards them; then xrdp, which does not start without it

was_running=
xrdp_was_running=

# Step 4. The new unit is enabled wherever the old one was.
retire_old_unit() {
    for link in "$unit_dir"/*.wants/"$old_unit"; do
        [ -L "$link" ] || continue
        ln -sf -- /etc/systemd/system/sudare-supervisor.service "${link%/*}/sudare-supervisor.service"
        rm -f -- "$link"
    done
    if is_running "$old_unit"; then
        was_running=yes
        say "sudare-supervisor.service takes the place of $old_unit. xrdp stops meanwhile: clients are disconnected"
        # Whoever upgrades from within a session of xrdp must not end this half-way.
        trap '' HUP
        if is_running xrdp; then
            xrdp_was_running=yes
            systemctl stop xrdp ||
                fail "xrdp does not stop. The old supervisor still guards. See journalctl -u xrdp, then run this again"
        fi
        systemctl stop "$old_unit" ||
            fail "$old_unit does not stop, and xrdp stays stopped. See journalctl -u $old_unit, then run this again"
    fi
    rm -f -- "$unit_dir/$old_unit"
    if [ -z "$root" ]; then
        systemctl daemon-reload
        systemctl reset-failed "$old_unit" 2>/dev/null || true
    fi
    if [ -d "$unit_dir/$old_unit.d" ]; then
        say "NOTE: your changes in $unit_dir/$old_unit.d no longer count. Move those you need to sudare-supervisor.service.d"
    fi
}

# Step 6.
start_successor() {
    for unit in sudare-recorder sudare-ship sudare-forward; do
        # Without a recorder guards cover and say so: no reason to leave xrdp stopped.
        systemctl try-restart "$unit" || say "WARNING: $unit did not restart. See journalctl -u $unit"
    done
    systemctl start sudare-supervisor ||
        fail "sudare-supervisor does not start, and xrdp stays stopped. See journalctl -u sudare-supervisor, then run systemctl start sudare-supervisor xrdp"
    if [ -n "$xrdp_was_running" ]; then
        systemctl start xrdp || fail "xrdp does not start again. See journalctl -u xrdp, then run systemctl start xrdp"
    fi
}

[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "root is required to create users and services. Run this with sudo"
for binary in $binaries; do
    [ -f "$programs/$binary" ] ||
        fail "$programs/$binary does not exist. Build the programs with: cargo build --release $packages"
done
[ -z "$gate" ] || retire_session_covers
for binary in $binaries; do
    [ "$binary" = sudare-host ] || put 0755 "$programs/$binary" "$root/usr/local/bin/$binary"
done

put 0644 "$here/sysusers.conf" "$root/usr/lib/sysusers.d/sudare.conf"
put 0644 "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/sudare.conf"
if [ -n "$gate" ]; then
    put 0644 "$here/gate-sysusers.conf" "$root/usr/lib/sysusers.d/sudare-gate.conf"
    put 0644 "$here/gate-tmpfiles.conf" "$root/usr/lib/tmpfiles.d/sudare-gate.conf"
fi
# The units name it as their documentation.
# In a package it lies beside this script, in a checkout among the other pages.
guide=$here/vdi-admin.md
[ -f "$guide" ] || guide=$here/../../../docs/guide/vdi-admin.md
put 0644 "$guide" "$root/usr/share/doc/sudare/README.md"
for unit in $units; do
    put 0644 "$here/$unit" "$unit_dir/$unit"
done
put 0644 "$here/$drop_in" "$unit_dir/xrdp.service.d/sudare.conf"
install -d -m 0755 -- "$root/etc/sudare"
# Settings belong to the administrator: existing ones stay.
for settings in host.toml holds.txt; do
    [ -e "$root/etc/sudare/$settings" ] || put 0644 "$here/$settings" "$root/etc/sudare/$settings"
done
for example in ship.env.example forward.env.example; do
    put 0600 "$here/$example" "$root/etc/sudare/$example"
done
if [ -z "$root" ]; then
    systemd-sysusers sudare.conf ${gate:+sudare-gate.conf}
    systemd-tmpfiles --create sudare.conf ${gate:+sudare-gate.conf}
    systemctl daemon-reload
fi

if [ -n "$gate" ]; then
    put 0755 "$programs/sudare-host" "$root/usr/local/bin/sudare-host"
    if [ -f "$ini" ]; then
        write_ini with
    else
        say "NOTE: $ini does not exist. Install xrdp, then run this again"
    fi
    if [ -n "$root" ]; then
        exit 0
    fi
    if is_running sudare-gate.socket; then
        # Each connection is a process that goes on with the program of its own time; the next one has the new one.
        say "installed. Open connections go on; new ones use the new programs. The recorder still runs the previous one until:"
        say "  systemctl restart sudare-recorder && sudare-host doctor --config $settings"
        exit 0
    fi
    make_keys
    say "installed. Next, once they are here: $0 --records DIR, then:"
    start="sudare-recorder sudare-gate.socket"
    [ ! -f "$unit_dir/sudare-owner.service" ] || start="$start sudare-owner"
    say "  systemctl enable $start xrdp && systemctl restart $start xrdp"
    say "  sudare-host doctor --config $settings"
    exit 0
fi

if [ -f "$pam" ]; then
    # Before every other account line: those that are "sufficient" end the list.
    write_pam "$pam_line
"
else
    say "NOTE: $pam does not exist. Install xrdp, then run this again"
fi

if [ -e "$unit_dir/$old_unit" ] || [ -L "$unit_dir/$old_unit" ]; then
    retire_old_unit
fi
put 0755 "$programs/sudare-host" "$root/usr/local/bin/sudare-host"
[ -z "$was_running" ] || start_successor

if [ -n "$was_running" ]; then
    say "upgraded. Now, and after each update of xrdp, run: sudare-host doctor --config /etc/sudare/host.toml"
    exit 0
fi
if is_running sudare-supervisor; then
    say "installed. Services that were running still run the previous programs until:"
    say "  systemctl restart sudare-recorder sudare-supervisor && sudare-host doctor --config /etc/sudare/host.toml"
    exit 0
fi
if is_running xrdp; then
    say "WARNING: xrdp runs, nobody guards its sessions, and nobody can sign in. Until the last step: systemctl stop xrdp xrdp-sesman"
fi
say "installed. Next: keys, records and devices (/usr/share/doc/sudare/README.md), then:"
say "  systemctl unmask xrdp xrdp-sesman && systemctl enable sudare-recorder sudare-supervisor xrdp"
say "  systemctl restart sudare-recorder sudare-supervisor xrdp && sudare-host doctor --config /etc/sudare/host.toml"
