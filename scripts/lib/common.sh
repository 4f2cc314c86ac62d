# What every script here shares: where things are, how they speak, how they run one at a time.
# Sourced, never run. Everything a person reads goes to standard error; standard output is the command's own.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
STATE="$ROOT/.python"            # tools, unpacked packages, locks; may be deleted at any time
cd "$ROOT"

say() { printf '[%s] %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# step TEXT COMMAND... : say what takes time, run it quietly, show its output only when it fails.
step() {
  local text=$1 log started=$SECONDS
  shift
  mkdir -p "$STATE/log"
  log=$(mktemp "$STATE/log/step.XXXXXX")
  say "$text ..."
  if "$@" >"$log" 2>&1 </dev/null; then
    say "$text: done in $((SECONDS - started)) s"
    rm -f "$log"
  else
    tail -n 40 "$log" >&2
    die "$text: failed (the whole output is in $log)"
  fi
}

# one_at_a_time NAME : hold the lock NAME until this process ends.
one_at_a_time() {
  mkdir -p "$STATE"
  command -v flock >/dev/null || return 0
  exec 9>"$STATE/$1.lock"
  flock -n 9 || { say "another set-up of this checkout is running, waiting for it ..."; flock 9; }
}

# fingerprint WORD-OR-FILE... : one hash over the content of the files and the words, and over this checkout's place
# (virtual environments and the unpacked interpreter hold absolute paths).
fingerprint() {
  local item
  { printf '%s\n' "$ROOT"
    for item in "$@"; do if [ -f "$item" ]; then cat "$item"; else printf '%s\n' "$item"; fi; done
  } | sha256sum | cut -d' ' -f1
}

# is_stamped FILE HASH ; stamp FILE HASH : whether, and that, the work behind FILE was finished for these inputs.
is_stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
stamp() { printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"; }
