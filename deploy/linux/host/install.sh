#!/bin/sh
# Installs Sudare's services on a host with systemd, or removes them again.
#
#   install.sh [--programs DIR] [--root DIR]    copies the programs in DIR (default: beside this script)
#   install.sh --uninstall [--root DIR]         removes what was installed; keys, settings and evidence stay
#
# Nothing is started: keys and records come first. --root is put before every path, for packages and images.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
programs=$here
root=
action=install

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --programs) programs=${2:?"--programs needs a folder"}; shift ;;
    --root) root=${2:?"--root needs a folder"}; shift ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "$1 is not an option. There are --programs DIR, --root DIR and --uninstall" ;;
    esac
    shift
done

binaries="sudare-host sudare-audit sudare-blanker"
units="sudare-recorder.service sudare-host.service sudare-ship.service sudare-forward.service
    sudare-retention.service sudare-retention.timer"

# xrdp gives whoever signs in the user's running session: PAM has it covered first.
pam=$root/etc/pam.d/xrdp-sesman
pam_line="account required pam_exec.so quiet /usr/local/bin/sudare-host --config /etc/sudare/host.toml sign-in"

# As it was written here, and as an administrator may have written it over.
pam_ours='^[[:space:]]*-?account[[:space:]].*sudare-host.*[[:space:]]sign-in([[:space:]]|$)'

# Writes the file anew, "$1" first and without our line. In place: owner, mode and links stay.
write_pam() {
    # Byte by byte, whatever the comments' language; the x keeps empty lines at the end.
    rest=$(LC_ALL=C sed -E "/$pam_ours/d" "$pam" && printf x) || fail "$pam cannot be read"
    printf '%s' "$1${rest%x}" >"$pam.sudare-new" || fail "there is no space for $pam.sudare-new. Nothing was changed"
    cat -- "$pam.sudare-new" >"$pam" ||
        fail "$pam was not written, so nobody can sign in at xrdp. Copy $pam.sudare-new there"
    rm -f -- "$pam.sudare-new"
}

if [ "$action" = uninstall ]; then
    # First: without the program that it names nobody could sign in.
    if [ -f "$pam" ] && LC_ALL=C grep -Eq "$pam_ours" "$pam"; then
        write_pam ""
    fi
    for unit in $units; do
        [ -n "$root" ] || systemctl disable --now "$unit" 2>/dev/null || true
        rm -f -- "$root/etc/systemd/system/$unit"
    done
    rm -f -- "$root/etc/systemd/system/xrdp.service.d/sudare.conf"
    rm -f -- "$root/usr/share/doc/sudare/README.md"
    rmdir -- "$root/usr/share/doc/sudare" 2>/dev/null || true
    rm -f -- "$root/usr/lib/sysusers.d/sudare.conf" "$root/usr/lib/tmpfiles.d/sudare.conf"
    for binary in $binaries; do
        rm -f -- "$root/usr/local/bin/$binary"
    done
    [ -n "$root" ] || systemctl daemon-reload
    say "Keys, settings and evidence stay in /etc/sudare and /var/lib/sudare*. The security team says when they may go."
    exit 0
fi

[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run this with sudo: it makes users and services"
for binary in $binaries; do
    [ -f "$programs/$binary" ] ||
        fail "$programs/$binary is not there. Build it with: cargo build --release -p sudare-host-ext -p sudare-blanker"
done
for binary in $binaries; do
    # Renamed into place: a running service keeps the old file.
    install -D -m 0755 -- "$programs/$binary" "$root/usr/local/bin/.$binary.new"
    mv -f -- "$root/usr/local/bin/.$binary.new" "$root/usr/local/bin/$binary"
done
install -D -m 0644 -- "$here/sysusers.conf" "$root/usr/lib/sysusers.d/sudare.conf"
install -D -m 0644 -- "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/sudare.conf"
# The units name it as their documentation.
install -D -m 0644 -- "$here/README.md" "$root/usr/share/doc/sudare/README.md"
for unit in $units; do
    install -D -m 0644 -- "$here/$unit" "$root/etc/systemd/system/$unit"
done
install -D -m 0644 -- "$here/xrdp-needs-sudare.conf" "$root/etc/systemd/system/xrdp.service.d/sudare.conf"
install -d -m 0755 -- "$root/etc/sudare"
# Settings are the administrator's: what is there stays.
for settings in host.toml holds.txt; do
    [ -e "$root/etc/sudare/$settings" ] || install -m 0644 -- "$here/$settings" "$root/etc/sudare/$settings"
done
install -m 0600 -- "$here/ship.env.example" "$here/forward.env.example" "$root/etc/sudare/"
if [ -f "$pam" ]; then
    # Before every other account line: those that are "sufficient" end the list.
    write_pam "$pam_line
"
else
    say "NOTE: $pam is not there. Install xrdp, and then run this again"
fi
if [ -z "$root" ]; then
    systemd-sysusers sudare.conf
    systemd-tmpfiles --create sudare.conf
    systemctl daemon-reload
fi
if [ -z "$root" ] && systemctl is-active --quiet xrdp && ! systemctl is-active --quiet sudare-host; then
    say "WARNING: xrdp runs, nobody guards its sessions, and nobody can sign in. Until the last step: systemctl stop xrdp xrdp-sesman"
fi
say "installed. Next: keys, records and devices (/usr/share/doc/sudare/README.md), then:"
say "  systemctl unmask xrdp xrdp-sesman && systemctl enable sudare-recorder sudare-host xrdp"
say "  systemctl restart sudare-recorder sudare-host xrdp && sudare-host doctor --config /etc/sudare/host.toml"
