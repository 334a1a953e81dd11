#!/bin/sh
# Installs Sudare's services on a host with systemd, upgrades them, or removes them again.
#
#   install.sh [--programs DIR] [--root DIR]    copies the programs in DIR (default: beside this script)
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
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $1. Use --programs DIR, --root DIR or --uninstall" ;;
    esac
    shift
done

# What a host runs. The security team's offline key, the witness and the demo host belong on other machines, so
# sudare-authority, sudare-witness and sudare-embedded stay where they were built.
# sudare-host comes last: see the order of an upgrade below.
binaries="sudare-supervisor sudare-sign-in sudare-guard sudare-blanker sudare-recorder sudare-ship sudare-forward
    sudare-notary sudare-audit sudare-host"
packages="-p sudare-supervisor -p sudare-guard -p sudare-blanker -p sudare-recorder -p sudare-ship -p sudare-forward \
-p sudare-audit -p sudare-admin"
units="sudare-recorder.service sudare-supervisor.service sudare-ship.service sudare-forward.service
    sudare-retention.service sudare-retention.timer"
# Until the programs were divided, sudare-host did the work of most of them, and this unit was the supervisor's.
old_unit=sudare-host.service
unit_dir=$root/etc/systemd/system

# xrdp gives whoever signs in the user's running session: PAM has it covered first.
pam=$root/etc/pam.d/xrdp-sesman
pam_line="account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /etc/sudare/host.toml"
# Our line, as this or an older version wrote it (`sudare-host … sign-in`) or an administrator rewrote it.
pam_ours='^[[:space:]]*-?account[[:space:]].*(sudare-sign-in|sudare-host.*[[:space:]]sign-in)([[:space:]]|$)'

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
    for unit in $old_unit $units; do
        [ -n "$root" ] || systemctl disable --now "$unit" 2>/dev/null || true
        disable "$unit"
        rm -f -- "$unit_dir/$unit"
    done
    rm -f -- "$unit_dir/xrdp.service.d/sudare.conf"
    rm -f -- "$root/usr/share/doc/sudare/README.md"
    rmdir -- "$unit_dir/xrdp.service.d" "$root/usr/share/doc/sudare" 2>/dev/null || true
    rm -f -- "$root/usr/lib/sysusers.d/sudare.conf" "$root/usr/lib/tmpfiles.d/sudare.conf"
    for binary in $binaries; do
        rm -f -- "$root/usr/local/bin/$binary"
    done
    [ -n "$root" ] || systemctl daemon-reload
    say "Keys, settings and evidence stay in /etc/sudare and /var/lib/sudare*. The security team says when they may go."
    [ -n "$root" ] || is_running xrdp ||
        say "xrdp is stopped. Nobody guards its sessions any more; to start it all the same: systemctl start xrdp"
}

if [ "$action" = uninstall ]; then
    remove_all
    exit 0
fi

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
for binary in $binaries; do
    [ "$binary" = sudare-host ] || put 0755 "$programs/$binary" "$root/usr/local/bin/$binary"
done

put 0644 "$here/sysusers.conf" "$root/usr/lib/sysusers.d/sudare.conf"
put 0644 "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/sudare.conf"
# The units name it as their documentation.
# In a package it lies beside this script, in a checkout among the other pages.
guide=$here/vdi-admin.md
[ -f "$guide" ] || guide=$here/../../../docs/guide/vdi-admin.md
put 0644 "$guide" "$root/usr/share/doc/sudare/README.md"
for unit in $units; do
    put 0644 "$here/$unit" "$unit_dir/$unit"
done
put 0644 "$here/xrdp-needs-sudare.conf" "$unit_dir/xrdp.service.d/sudare.conf"
install -d -m 0755 -- "$root/etc/sudare"
# Settings belong to the administrator: existing ones stay.
for settings in host.toml holds.txt; do
    [ -e "$root/etc/sudare/$settings" ] || put 0644 "$here/$settings" "$root/etc/sudare/$settings"
done
for example in ship.env.example forward.env.example; do
    put 0600 "$here/$example" "$root/etc/sudare/$example"
done
if [ -z "$root" ]; then
    systemd-sysusers sudare.conf
    systemd-tmpfiles --create sudare.conf
    systemctl daemon-reload
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
