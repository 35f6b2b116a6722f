# shellcheck shell=bash
# Words and places that every script shares. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/roadstead
export ROOT CACHE
mkdir -p "$CACHE"

say() { printf '%s\n' "$*" >&2; }

# Ends the script with one sentence that says what is missing.
die() {
  say "error: $*"
  exit 1
}

# Runs a command quietly; its output is shown only when it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" = 0 ] || tail -n 40 "$log" >&2
  rm -f "$log"
  return "$status"
}

# Puts Debian packages on the machine, those that are missing only.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "root is needed to install ${missing[*]}"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  (
    flock 8 # two scripts may run at once
    quietly apt-get update || die "apt-get update failed"
    quietly apt-get install -y --no-install-recommends "${missing[@]}" || die "could not install ${missing[*]}"
  ) 8>"$CACHE/packages.lock" || exit 1
}

# The toolchain file names an exact version. A machine that has it under another name, such as stable, uses that.
use_installed_rust() {
  local wanted name
  cd "$ROOT"
  cargo --version >/dev/null 2>&1 && return 0
  wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
  for name in $(cd / && rustup toolchain list 2>/dev/null | cut -d' ' -f1); do
    if (cd / && rustup run "$name" rustc --version) | grep -q "^rustc $wanted "; then
      export RUSTUP_TOOLCHAIN=$name
      return 0
    fi
  done
  die "Rust $wanted is needed (rustup toolchain install $wanted)"
}
