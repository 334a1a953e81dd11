#!/bin/sh
# Installs the Sudare plugin where FreeRDP 2 and 3 look for it, and the program `sudare`; or removes them again.
#
#   install.sh [--library FILE] [--program FILE] [--root DIR]     copies both (default: what is beside this script)
#   install.sh --uninstall [--root DIR]                           removes what was installed, and nothing else
#
# FreeRDP has no setting for the folder: it is <folder of libfreerdp-client>/freerdp2 or freerdp3. `sudare` goes to
# /usr/local/bin; without --program, and none beside this script, only the plugin is installed.
# --root is put before every path, for packages and images.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
library="$here/libsudare_client.so"
program=
[ ! -f "$here/sudare" ] || program="$here/sudare"
root=
action=install

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --library) library=${2:?"--library needs a file"}; shift ;;
    --program) program=${2:?"--program needs a file"}; shift ;;
    --root) root=${2:?"--root needs a folder"}; shift ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "$1 is not an option. There are --library FILE, --program FILE, --root DIR and --uninstall" ;;
    esac
    shift
done

# One line for each FreeRDP that the loader knows: its plugin folder.
folders() {
    PATH=$PATH:/sbin:/usr/sbin
    for major in 2 3; do
        ldconfig -p | sed -n "s|.*=> \(.*\)/libfreerdp-client$major\.so.*|\1/freerdp$major|p"
    done | sort -u
}

# An uninstallation also finds what was installed for a FreeRDP that has left.
leftovers() {
    for folder in "$root"/usr/lib*/freerdp[23] "$root"/usr/lib/*/freerdp[23] "$root"/usr/local/lib*/freerdp[23]; do
        [ -f "$folder/libsudare-client.so" ] && say "$folder"
    done
    for folder in $(folders); do
        [ -f "$root$folder/libsudare-client.so" ] && say "$root$folder"
    done
    return 0
}

if [ "$action" = uninstall ]; then
    leftovers | sort -u | while read -r folder; do
        rm -- "$folder/libsudare-client.so" || fail "$folder cannot be changed. Run this with sudo"
        # The folder goes only if nobody else uses it.
        rmdir -- "$folder" 2>/dev/null || true
        say "removed $folder/libsudare-client.so"
    done
    if [ -f "$root/usr/local/bin/sudare" ]; then
        rm -- "$root/usr/local/bin/sudare" || fail "$root/usr/local/bin cannot be changed. Run this with sudo"
        say "removed $root/usr/local/bin/sudare"
    fi
    say "A device's own files stay in ~/.config/sudare, models in ~/.cache/sudare (or where SUDARE_HOME and SUDARE_CACHE say)."
    say "Each user deletes their own: the first folder holds the device's keys, and evidence that still waits."
    exit 0
fi

[ -f "$library" ] || fail "$library is not there. Build it with: cargo build --release -p sudare-freerdp"
[ -z "$program" ] || [ -f "$program" ] ||
    fail "$program is not there. Build it with: cargo build --release -p sudare-cli"
found=$(folders)
[ -n "$found" ] || fail "no FreeRDP is installed. Install freerdp2-x11, freerdp3-x11 or Remmina first"
for folder in $found; do
    mkdir -p -- "$root$folder" || fail "$root$folder cannot be made. Run this with sudo"
    # Renamed into place: a running client keeps the old file.
    install -m 0644 -- "$library" "$root$folder/.libsudare-client.so.new" ||
        fail "$root$folder cannot be written. Run this with sudo"
    mv -f -- "$root$folder/.libsudare-client.so.new" "$root$folder/libsudare-client.so"
    say "installed $root$folder/libsudare-client.so"
done
if [ -n "$program" ]; then
    install -D -m 0755 -- "$program" "$root/usr/local/bin/.sudare.new" ||
        fail "$root/usr/local/bin cannot be written. Run this with sudo"
    mv -f -- "$root/usr/local/bin/.sudare.new" "$root/usr/local/bin/sudare"
    say "installed $root/usr/local/bin/sudare"
fi
