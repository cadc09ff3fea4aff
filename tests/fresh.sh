#!/usr/bin/env bash
# A bare Debian with Python, make and git, an ordinary user and an empty home: does a plain clone do what it says there?
# Usage, as root: tests/fresh.sh TARGET ... (targets of the Makefile). Prints how long each took; the log is kept.
set -euo pipefail
release=${FRESH_RELEASE:-bookworm}
packages=python3,python3-venv,make,git,ca-certificates
checkout=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/optico-worker
log=$checkout/.fresh.log

((EUID == 0)) || { echo "a bare Debian is made and entered by root only"; exit 1; }
for program in mmdebstrap unshare; do
  command -v "$program" >/dev/null || { echo "missing: $program (Debian: apt-get install mmdebstrap util-linux)"; exit 1; }
done

mkdir -p "$cache"
base=$cache/fresh-$release.tar
[[ -e $base ]] || { mmdebstrap --quiet --variant=minbase --include="$packages" "$release" "$base.part.tar"; mv "$base.part.tar" "$base"; }
root=$(mktemp -d /var/tmp/optico-fresh-XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT
tar --extract --file "$base" --directory "$root" --exclude './dev/*'
chroot "$root" useradd --create-home --shell /bin/bash somebody
# The network is this machine's: its resolver, and the certificates that it trusts.
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mapfile -t network < <(env | grep -E '^(SSL_CERT_FILE|PIP_CERT|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|[a-z]+_proxy|[A-Z]+_PROXY)=' || true)
git clone --quiet --no-hardlinks "$checkout" "$root/home/somebody/optico-worker"
chroot "$root" chown -R somebody:somebody /home/somebody/optico-worker

# Mounts and processes end with the command, whatever becomes of it.
inside() {
  unshare --mount --pid --fork --kill-child bash -euc '
    root=$1; shift
    mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"; mount -t tmpfs tmpfs "$root/tmp"
    exec chroot --userspec=somebody:somebody "$root" env -i HOME=/home/somebody USER=somebody LANG=C.UTF-8 TERM=dumb \
      PATH=/usr/local/bin:/usr/bin:/bin "$@"' inside "$root" "${network[@]}" bash -c "cd ~/optico-worker && $1"
}

: >"$log"
failed=0
for target in "$@"; do
  started=$SECONDS
  inside "make $target" >>"$log" 2>&1 && result=ok || { result="failed, see $log"; failed=1; }
  printf 'make %-10s %4d s  %s\n' "$target" $((SECONDS - started)) "$result"
done
exit $failed
