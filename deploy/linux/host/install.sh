#!/bin/sh
# Installs Sudare's services on a host with systemd, upgrades them, or removes them again.
#
#   install.sh [--programs DIR]        copies the programs in DIR (default: beside this script), and puts the gate
#                                      before this machine's xrdp
#   install.sh --target tcp:ADDRESS:PORT#PIN [--programs DIR]
#                                      the same before the RDP host at that address, which has this certificate
#   install.sh --records DIR           puts the records that the security team signed where they belong, and starts
#   install.sh --uninstall             removes what was installed; keys, settings and evidence stay
#
# A new host is started by --records: keys and records come first. An update ends no connection: those that are open go
# on with the program of their time. A version that covered inside of xrdp's sessions is replaced: xrdp stops meanwhile,
# which disconnects clients, and Debian's xrdp loses running sessions whenever it stops.
# --root DIR is put before every path, for packages and images.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
programs=$here
root=
action=install
target=
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
    --target) target=${2:?"--target needs tcp:ADDRESS:PORT#PIN"}; shift ;;
    # Chose the gate while it was in trial.
    --gate) say "NOTE: --gate is no longer needed. The gate is what is installed" ;;
    --records)
        action=records
        records=${2:?"--records needs a folder"}
        shift
        ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $1. Use --programs DIR, --target TARGET, --records DIR, --root DIR or --uninstall" ;;
    esac
    shift
done

# What a host runs. The security team's offline key, the witness and the demo host belong on other machines, so
# sudare-authority, sudare-witness and sudare-embedded stay where they were built.
binaries="sudare-gate sudare-owner sudare-picture sudare-nla sudare-recorder sudare-ship sudare-forward sudare-notary sudare-audit sudare-host"
packages="-p sudare-gate -p sudare-owner -p sudare-picture -p sudare-nla -p sudare-recorder -p sudare-ship -p sudare-forward -p sudare-audit -p sudare-admin"
units="sudare-gate.socket sudare-gate@.service sudare-owner.service sudare-recorder.service sudare-ship.service
    sudare-forward.service sudare-retention.service sudare-retention.timer"
# Of versions that covered inside of xrdp's sessions. In the oldest of them sudare-host did the work of most programs.
old_binaries="sudare-supervisor sudare-sign-in sudare-guard sudare-blanker"
old_units="sudare-supervisor.service sudare-host.service"
old_settings="xrdp_group xrdp_socket_dir run_dir blanker"
unit_dir=$root/etc/systemd/system
settings=/etc/sudare/host.toml

# PAM had running sessions covered: a line as those versions wrote it, or an administrator rewrote it.
pam=$root/etc/pam.d/xrdp-sesman
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
    changed="$changed $(basename -- "$3")"
}
changed=

# has_changed NAME: this run has replaced it.
has_changed() {
    case " $changed " in
    *" $1 "*) return 0 ;;
    *) return 1 ;;
    esac
}

# put_text FILE TEXT: the new file is renamed over the old one, whose owner and mode stay: at no moment is a line
# missing, or twice there, or half written. A file that is the same already keeps its age.
put_text() {
    if printf '%s' "$2" | cmp -s - "$1"; then
        return
    fi
    # Behind a symbolic link, so that the link stays.
    real=$(readlink -f -- "$1")
    new=$(dirname -- "$real")/.$(basename -- "$real").new
    # sync: a power cut must not leave an empty file.
    if ! { cp -a -- "$real" "$new" && printf '%s' "$2" >"$new" && sync -- "$new" && mv -f -- "$new" "$real"; }; then
        rm -f -- "$new"
        fail "$1 cannot be replaced. It is unchanged; see whether the disk is full or read-only"
    fi
}

# Removes every line of ours, byte by byte, whatever the encoding of the comments.
remove_pam_line() {
    [ -f "$pam" ] && LC_ALL=C grep -Eq "$pam_ours" "$pam" || return 0
    # The x keeps empty lines at the end.
    rest=$(LC_ALL=C sed -E "/$pam_ours/d" "$pam" && printf x) || fail "$pam cannot be read"
    put_text "$pam" "${rest%x}"
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

# write_ini with|without: as put_text, but through files, which keep bytes that are no text.
write_ini() {
    real=$(readlink -f -- "$ini")
    new=$(dirname -- "$real")/.$(basename -- "$real").new
    bare=$new.bare
    failed="$ini cannot be replaced. It is unchanged; see whether the disk is full or read-only"
    if ! { cp -a -- "$real" "$new" && ini_without_gate "$real" >"$bare"; }; then
        rm -f -- "$new" "$bare"
        fail "$failed"
    fi
    if ! { if [ "$1" = with ]; then ini_with_gate "$bare"; else cat -- "$bare"; fi >"$new" && sync -- "$new"; }; then
        rm -f -- "$new" "$bare"
        fail "$failed"
    fi
    rm -f -- "$bare"
    if cmp -s -- "$new" "$real"; then
        rm -f -- "$new"
    else
        mv -f -- "$new" "$real" || fail "$failed"
    fi
}

# Links by which targets start a unit at boot; the unit may be gone, or the root no running system.
enable() {
    mkdir -p -- "$unit_dir/$2.wants"
    ln -sfn -- "/etc/systemd/system/$1" "$unit_dir/$2.wants/$1"
}
disable() {
    for link in "$unit_dir"/*.wants/"$1"; do
        [ ! -L "$link" ] || rm -f -- "$link"
    done
}
is_enabled() {
    for link in "$unit_dir"/*.wants/"$1"; do
        [ ! -L "$link" ] || return 0
    done
    return 1
}

# Guards and blankers outlived the supervisor, so that its sessions stayed covered. No client reaches those sessions any
# more. The kernel says which program a process runs.
end_old_processes() {
    [ -z "$root" ] || return 0
    for exe in /proc/[0-9]*/exe; do
        case $(readlink -- "$exe" 2>/dev/null || true) in
        /usr/local/bin/sudare-guard | /usr/local/bin/sudare-blanker | "/usr/local/bin/sudare-guard (deleted)" | "/usr/local/bin/sudare-blanker (deleted)")
            pid=${exe#/proc/}
            kill -KILL "${pid%/exe}" 2>/dev/null || true
            ;;
        esac
    done
}

remove_old_files() {
    remove_pam_line
    for unit in $old_units; do
        disable "$unit"
        rm -f -- "$unit_dir/$unit"
    done
    for binary in $old_binaries; do
        rm -f -- "$root/usr/local/bin/$binary"
    done
    # Their names while the gate was in trial.
    for file in sysusers.d/sudare-gate.conf tmpfiles.d/sudare-gate.conf; do
        rm -f -- "$root/usr/lib/$file"
    done
}

remove_all() {
    [ ! -f "$ini" ] || write_ini without
    # Connections that are open at this moment are covered and end.
    [ -n "$root" ] || systemctl stop sudare-gate.socket 'sudare-gate@*.service' 2>/dev/null || true
    for unit in $units $old_units; do
        [ -n "$root" ] || systemctl disable --now "$unit" 2>/dev/null || true
        disable "$unit"
        rm -f -- "$unit_dir/$unit"
    done
    end_old_processes
    remove_old_files
    rm -f -- "$unit_dir/xrdp.service.d/sudare.conf"
    rm -f -- "$root/usr/share/doc/sudare/README.md"
    rmdir -- "$unit_dir/xrdp.service.d" "$root/usr/share/doc/sudare" 2>/dev/null || true
    for name in sudare.conf sudare-xrdp.conf; do
        rm -f -- "$root/usr/lib/sysusers.d/$name" "$root/usr/lib/tmpfiles.d/$name"
    done
    for binary in $binaries; do
        rm -f -- "$root/usr/local/bin/$binary"
    done
    [ -n "$root" ] || systemctl daemon-reload
    say "Keys, settings and evidence stay in /etc/sudare and /var/lib/sudare*. The security team says when they may go."
    if is_running xrdp; then
        say "Nobody can log on until xrdp listens at its own port again, where nobody guards its sessions: systemctl restart xrdp"
    elif [ -z "$root" ] && [ -f "$ini" ]; then
        say "xrdp is stopped. Nobody guards its sessions any more; to start it all the same: systemctl start xrdp"
    fi
}

# as USER GROUP COMMAND…: what it writes belongs to that user.
as() {
    user=$1
    group=$2
    shift 2
    setpriv --reuid "$user" --regid "$group" --init-groups -- "$@"
}

# Keys of a host that has none, and what the security team needs of them.
make_keys() {
    as sudare sudare sudare-host init --config "$settings" >/dev/null &&
        as sudare-recorder sudare-evidence sudare-host init --recorder --config "$settings" >/dev/null ||
        fail "the keys could not be made. Mend what it says above, then run this again"
    say "The line for the security team, who send back organisation.pub, host.record and policy.record:"
    as sudare sudare sudare-host key --config "$settings"
}

# The value of a setting, if the file has it.
setting() {
    [ ! -f "$root$settings" ] || sed -nE "s|^[[:space:]]*$1[[:space:]]*=[[:space:]]*\"(.*)\".*|\\1|p" "$root$settings"
}

# Puts a line in place of the one that there is, or at the end.
set_setting() {
    others=$(sed -E "/^[[:space:]]*$1[[:space:]]*=/d" "$root$settings") || fail "$root$settings cannot be read"
    put_text "$root$settings" "$others
$1 = \"$2\"
"
}

stands_before_xrdp() {
    case ${target:-$(setting gate_target)} in
    "" | unix:/run/sudare-xrdp/socket*) return 0 ;;
    *) return 1 ;;
    esac
}

# The key with which the gate shows its certificate: xrdp's, so that what employees accepted stays valid, or one of its
# own. One that is there stays.
make_certificate() {
    key=$root/etc/sudare/gate.key
    [ ! -e "$key" ] && [ ! -L "$key" ] || return 0
    if stands_before_xrdp; then
        ln -s -- /etc/xrdp/key.pem "$key"
        return
    fi
    # Where only files are put in place, the first run on the host makes it.
    [ -z "$root" ] || return 0
    command -v openssl >/dev/null || fail "openssl is required to make a certificate. Install it, then run this again"
    (umask 077 && openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=$(uname -n)" \
        -keyout "$key" -out /etc/sudare/gate.pem 2>/dev/null) || fail "openssl could not make /etc/sudare/gate.key"
    chmod 0644 /etc/sudare/gate.pem
    set_setting tls_certificate /etc/sudare/gate.pem
}

# Starts xrdp, which opens its socket a second or two after systemd has heard that it runs.
start_xrdp() {
    systemctl start xrdp || return 1
    tries=0
    while [ ! -S /run/sudare-xrdp/socket ] && [ $tries -lt 20 ]; do
        sleep 0.5
        tries=$((tries + 1))
    done
}

# Begins to serve clients, who meet the gate and nobody else.
start_all() {
    services="sudare-recorder sudare-owner"
    systemctl daemon-reload
    systemctl enable $services sudare-gate.socket >/dev/null 2>&1 || fail "the units cannot be enabled. Run install.sh again first"
    systemctl restart $services || fail "not started. See journalctl -u sudare-recorder -u sudare-owner, then run this again"
    if stands_before_xrdp; then
        # It gives the port up, and listens behind the gate when it starts again.
        systemctl stop xrdp || fail "xrdp does not stop. See journalctl -u xrdp, then run this again"
        systemctl start sudare-gate.socket || fail "the gate's port is not open, and xrdp stays stopped. See journalctl -u sudare-gate.socket"
        # Where an administrator keeps it from starting, it stays so.
        systemctl enable xrdp >/dev/null 2>&1 || true
        start_xrdp || fail "xrdp does not start. See journalctl -u xrdp; where it is masked: systemctl unmask xrdp xrdp-sesman"
    else
        systemctl start sudare-gate.socket || fail "the gate's port is not open. See journalctl -u sudare-gate.socket, and what else uses port 3389"
    fi
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
    chmod 0644 /etc/sudare/log.vkey
    say "The line for the security team, by another way than the evidence goes (it is in /etc/sudare/log.vkey):"
    say "$key"
    if is_running sudare-gate.socket; then
        # Gates read records for each connection. Open ones are covered until the recorder is back.
        systemctl restart sudare-recorder || fail "the recorder does not start. See journalctl -u sudare-recorder"
        say "Open connections go on under the records of their time; new ones use the new records."
    else
        start_all
        say "started. Now, and after each update of xrdp, run: sudare-host doctor --config $settings"
    fi
}

if [ "$action" = uninstall ]; then
    remove_all
    exit 0
fi
if [ "$action" = records ]; then
    put_records
    exit 0
fi

old_was_running=
xrdp_was_running=

# What covers inside of sessions makes room for the gate, in this order: whoever is connected is either guarded or
# disconnected, and nobody looks while neither is there. If it stops half-way, run it again: it does the rest, and says
# what to start if xrdp is stopped by then.
#
#   1. the new programs are there already, beside those that run
#   2. xrdp stops, so that nobody looks; then what supervised, with guards and blankers
#   3. PAM's line, units and programs of the old kind go
#   4. users, folders, units, xrdp.ini (below). From the drop-in on, xrdp could not open a port if somebody started it
#   5. the gate, and xrdp behind it, if they ran before and the host has its records
retire_old_kind() {
    for unit in $old_units; do
        if is_enabled "$unit"; then
            enable sudare-gate.socket sockets.target
            enable sudare-owner.service multi-user.target
            enable sudare-recorder.service multi-user.target
        fi
        is_running "$unit" || continue
        old_was_running=yes
        say "The gate takes the place of $unit. xrdp stops meanwhile: clients are disconnected"
        # Whoever upgrades from within a session of xrdp must not end this half-way.
        trap '' HUP
        if is_running xrdp; then
            xrdp_was_running=yes
            systemctl stop xrdp ||
                fail "xrdp does not stop. $unit still guards. See journalctl -u xrdp, then run this again"
        fi
        systemctl stop "$unit" ||
            fail "$unit does not stop, and xrdp stays stopped. See journalctl -u $unit, then run this again"
    done
    end_old_processes
    for unit in $old_units; do
        [ ! -d "$unit_dir/$unit.d" ] || say "NOTE: your changes in $unit_dir/$unit.d no longer count"
    done
    remove_old_files
    # The sockets of sessions are none of the gates' any more.
    if [ -z "$root" ] && id -nG sudare 2>/dev/null | grep -qw xrdp; then
        gpasswd --delete sudare xrdp >/dev/null || say "NOTE: take sudare out of the group xrdp: gpasswd -d sudare xrdp"
    fi
}

[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "root is required to create users and services. Run this with sudo"
for binary in $binaries; do
    [ -f "$programs/$binary" ] ||
        fail "$programs/$binary does not exist. Build the programs with: cargo build --release $packages"
done
case $target in
"" | unix:/* | tcp:*:*#*) ;;
*) fail "$target is no target. Write tcp:ADDRESS:PORT#PIN, with the PIN that \`sudare-host pin ADDRESS:PORT\` prints" ;;
esac
for name in $old_settings; do
    if [ -f "$root$settings" ] && grep -Eq "^[[:space:]]*$name[[:space:]]*=" "$root$settings"; then
        fail "$settings sets $name, which no longer exists. Remove that line, then run this again"
    fi
done
for binary in $binaries; do
    # An old unit may start it until it is gone.
    [ "$binary" = sudare-host ] || put 0755 "$programs/$binary" "$root/usr/local/bin/$binary"
done
retire_old_kind
put 0755 "$programs/sudare-host" "$root/usr/local/bin/sudare-host"

install -d -m 0755 -- "$root/etc/sudare"
# Settings belong to the administrator: existing ones stay.
for name in host.toml holds.txt; do
    [ -e "$root/etc/sudare/$name" ] || put 0644 "$here/$name" "$root/etc/sudare/$name"
done
for example in ship.env.example forward.env.example; do
    put 0600 "$here/$example" "$root/etc/sudare/$example"
done
[ -z "$target" ] || set_setting gate_target "$target"
make_certificate

parts=sudare.conf
put 0644 "$here/sysusers.conf" "$root/usr/lib/sysusers.d/sudare.conf"
put 0644 "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/sudare.conf"
# The units name it as their documentation. In a package it lies beside this script, in a checkout among the other pages.
guide=$here/vdi-admin.md
[ -f "$guide" ] || guide=$here/../../../docs/guide/vdi-admin.md
put 0644 "$guide" "$root/usr/share/doc/sudare/README.md"
for unit in $units; do
    put 0644 "$here/$unit" "$unit_dir/$unit"
done
if stands_before_xrdp; then
    # Before its settings: from here on xrdp can open no port.
    put 0644 "$here/xrdp-behind-gate.conf" "$unit_dir/xrdp.service.d/sudare.conf"
    if [ -f "$ini" ]; then
        parts="$parts sudare-xrdp.conf"
        put 0644 "$here/xrdp-sysusers.conf" "$root/usr/lib/sysusers.d/sudare-xrdp.conf"
        put 0644 "$here/xrdp-tmpfiles.conf" "$root/usr/lib/tmpfiles.d/sudare-xrdp.conf"
        write_ini with
    else
        say "NOTE: $ini does not exist. Install xrdp, or name another host with --target, then run this again"
    fi
fi
[ -z "$root" ] || exit 0

systemd-sysusers $parts
systemd-tmpfiles --create $parts
systemctl daemon-reload

if [ -n "$old_was_running" ]; then
    for unit in sudare-recorder sudare-ship sudare-forward; do
        # Without a recorder gates cover and say so: no reason to leave xrdp stopped.
        systemctl try-restart "$unit" || say "WARNING: $unit did not restart. See journalctl -u $unit"
    done
    systemctl start sudare-owner sudare-gate.socket ||
        fail "the gate does not start, and xrdp stays stopped. See journalctl -u sudare-gate.socket -u sudare-owner, then run systemctl start sudare-owner sudare-gate.socket xrdp"
    if [ -n "$xrdp_was_running" ]; then
        start_xrdp || fail "xrdp does not start again. See journalctl -u xrdp, then run systemctl start xrdp"
    fi
    say "upgraded. Now, and after each update of xrdp, run: sudare-host doctor --config $settings"
    exit 0
fi
if is_running sudare-gate.socket; then
    # Each connection is a process that goes on with the program of its own time; the next one has the new one. While
    # these services restart, which takes about a second, open connections are covered.
    for name in sudare-recorder sudare-owner sudare-ship sudare-forward; do
        if has_changed "$name" || has_changed "$name.service"; then
            systemctl try-restart "$name" || say "WARNING: $name did not restart. See journalctl -u $name"
        fi
    done
    if has_changed sudare-gate.socket; then
        systemctl try-restart sudare-gate.socket || say "WARNING: the gate's port is not open. See journalctl -u sudare-gate.socket"
    fi
    say "updated. Open connections go on; new ones use the new programs. Now run: sudare-host doctor --config $settings"
    exit 0
fi
make_keys
if is_running xrdp; then
    say "WARNING: xrdp runs, and nobody guards its sessions until the next step. Until then: systemctl stop xrdp xrdp-sesman"
fi
say "installed. Next, once the records are here: $0 --records DIR"
