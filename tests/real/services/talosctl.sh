# The lab's Talos machines, driven by talosctl: the published release, or the one that TALOSCTL names.
TALOSCTL_VERSION=v1.13.9

talosctl() { echo "${TALOSCTL:-$CACHE/talosctl-$TALOSCTL_VERSION}"; }

install() {
  [ -x "$(talosctl)" ] && return
  local from=https://github.com/siderolabs/talos/releases/download/$TALOSCTL_VERSION name=talosctl-linux-amd64
  [ "$(uname -m)" = aarch64 ] && name=talosctl-linux-arm64
  cd "$DATA" && curl -fsSL -o "$name" "$from/$name" && curl -fsSL -o sums "$from/sha256sum.txt" &&
    grep -E " [*]?(\./)?$name\$" sums | sha256sum -c --quiet - && chmod 755 "$name" && mv "$name" "$CACHE/talosctl-$TALOSCTL_VERSION" && cd - >/dev/null ||
    { echo "talosctl $TALOSCTL_VERSION cannot be had from $from; TALOSCTL names one that is there"; return 1; }
}

start() { :; }
stop() { :; }

check() {
  if [ ! -x "$(talosctl)" ]; then
    echo "talosctl $TALOSCTL_VERSION is not installed (--install): skipped"
    return
  fi
  # The lab is in the default features.
  cargo run -q -p stead -- lab exec --lab-dir "$DATA/lab" -- python3 tests/real/clients/talosctl_life.py "$(talosctl)"
}
