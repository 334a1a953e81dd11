#!/bin/sh
# Installs the Sudare plugin where FreeRDP 2 and 3 look for it and the program `sudare`, or removes both again.
#
#   install.sh [--library FILE] [--program FILE] [--root DIR]     copies both (default: those beside this script)
#   install.sh --uninstall [--root DIR]                           removes what was installed, and nothing else
#
# FreeRDP always looks in <folder of libfreerdp-client>/freerdp2 or freerdp3. `sudare`, and `sudare-window` where it lies
# beside it, go to /usr/local/bin; without --program, and without one beside this script, only the plugin is installed.
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
    *) fail "unknown option $1. Use --library FILE, --program FILE, --root DIR or --uninstall" ;;
    esac
    shift
done

# The plugin folder of each FreeRDP that the loader knows, one a line.
folders() {
    PATH=$PATH:/sbin:/usr/sbin
    for major in 2 3; do
        ldconfig -p | sed -n "s|.*=> \(.*\)/libfreerdp-client$major\.so.*|\1/freerdp$major|p"
    done | sort -u
}

# Also finds plugins installed for a FreeRDP that has been removed since.
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
        # Removed only if nothing else is in it.
        rmdir -- "$folder" 2>/dev/null || true
        say "removed $folder/libsudare-client.so"
    done
    for name in sudare sudare-window; do
        [ -f "$root/usr/local/bin/$name" ] || continue
        rm -- "$root/usr/local/bin/$name" || fail "$root/usr/local/bin cannot be changed. Run this with sudo"
        say "removed $root/usr/local/bin/$name"
    done
    say "Each device's files stay in ~/.config/sudare, models in ~/.cache/sudare (or where SUDARE_HOME and SUDARE_CACHE point)."
    say "Each user deletes their own: the first folder holds the device's keys and evidence not yet sent."
    exit 0
fi

[ -f "$library" ] || fail "$library does not exist. Build it with: cargo build --release -p sudare-freerdp"
[ -z "$program" ] || [ -f "$program" ] ||
    fail "$program does not exist. Build it with: cargo build --release -p sudare-cli"
found=$(folders)
[ -n "$found" ] || fail "no FreeRDP is installed. Install freerdp2-x11, freerdp3-x11 or Remmina first"
for folder in $found; do
    mkdir -p -- "$root$folder" || fail "$root$folder cannot be created. Run this with sudo"
    # Renamed into place, so that a running client keeps its old file.
    install -m 0644 -- "$library" "$root$folder/.libsudare-client.so.new" ||
        fail "$root$folder cannot be written. Run this with sudo"
    mv -f -- "$root$folder/.libsudare-client.so.new" "$root$folder/libsudare-client.so"
    say "installed $root$folder/libsudare-client.so"
done
put() {
    install -D -m 0755 -- "$1" "$root/usr/local/bin/.$2.new" ||
        fail "$root/usr/local/bin cannot be written. Run this with sudo"
    mv -f -- "$root/usr/local/bin/.$2.new" "$root/usr/local/bin/$2"
    say "installed $root/usr/local/bin/$2"
}
if [ -n "$program" ]; then
    put "$program" sudare
    window=$(dirname -- "$program")/sudare-window
    [ ! -f "$window" ] || put "$window" sudare-window
fi
