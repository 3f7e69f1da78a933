#!/bin/bash
# Run a command as nobody, with no privilege and a /dev/net/tun that everyone may open, as root only.
#   tests/lab/as_nobody.sh COMMAND [ARGUMENT ...]
# All of it happens in a mount namespace of its own: the host keeps its devices and its modes. This is how a machine
# looks to an ordinary user on Debian, where /dev/net/tun has mode 0666 (in containers it is often 0600).
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
    echo "as_nobody: only root can become nobody" >&2
    exit 1
fi
if [ "${1:-}" != --inside ]; then
    exec unshare --mount --propagation private -- "$0" --inside "$@"
fi
shift

mkdir -p /dev/net
mount -t tmpfs -o mode=0755,nosuid tmpfs /dev/net
mknod -m 0666 /dev/net/tun c 10 200

# What nobody must be able to read, though it may lie under a closed directory such as /root: this checkout and Python.
root=$(cd "$(dirname "$0")/../.." && pwd -P)
needed=("$root")
for name in "$root/.venv/bin/python" "$(type -P "$1" || true)"; do
    if [ -x "$name" ] && [[ "$name" = *python* ]]; then
        needed+=("$("$name" -c 'import sys; print(sys.base_prefix)')" "$("$name" -c 'import sys; print(sys.prefix)')")
    fi
done

closed_ancestor() { # the topmost directory on the way to $1 that others may not enter
    local part path=""
    local -a parts
    IFS=/ read -ra parts <<<"${1#/}"
    for part in "${parts[@]}"; do
        path="$path/$part"
        if [ -d "$path" ] && (( (8#$(stat -c %a "$path") & 1) == 0 )); then
            echo "$path"
            return
        fi
    done
    return 0
}

open_way() { # $1: a directory that others may not enter; only what is needed below it stays visible
    local top=$1 path fd
    local -a paths=() held=()
    for path in "${needed[@]}"; do
        if [[ "$path" = "$top" ]]; then
            paths+=("$top"/*)
        elif [[ "$path" = "$top"/* ]]; then
            paths+=("$path")
        fi
    done
    for path in "${paths[@]}"; do # held open, since the next mount hides them
        exec {fd}<"$path"
        held+=("$fd")
    done
    mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$top"
    for path in "${paths[@]}"; do
        fd=${held[0]} held=("${held[@]:1}")
        if [ -d "/proc/self/fd/$fd" ]; then mkdir -p "$path"; else touch "$path"; fi
        mount --no-canonicalize --bind "/proc/self/fd/$fd" "$path"
        exec {fd}<&-
    done
}

shopt -s dotglob nullglob
for path in "${needed[@]}"; do
    while top=$(closed_ancestor "$path") && [ -n "$top" ]; do
        open_way "$top"
    done
done

home=$(mktemp -d)
chown 65534:65534 "$home"
export HOME=$home
trap 'rm -rf "$home"' EXIT
cd "$root"
setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all --ambient-caps -all --bounding-set -all -- "$@"
