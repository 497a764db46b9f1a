# The lab's Talos machines, driven by talosctl. Needs go and git, to build it: not every release is on the Go proxy, and its module has `replace` directives.
# TALOSCTL names one that is there already.
TALOSCTL_VERSION=v1.13.9

talosctl() { echo "${TALOSCTL:-$CACHE/talosctl-$TALOSCTL_VERSION}"; }

install() {
  [ -x "$(talosctl)" ] && return
  git clone -q --depth 1 --branch "$TALOSCTL_VERSION" https://github.com/siderolabs/talos.git "$DATA/talos"
  (
    cd "$DATA/talos"
    rm -f go.work
    GOFLAGS=-mod=mod go build -o "$CACHE/talosctl-$TALOSCTL_VERSION" \
      -ldflags "-s -w -X github.com/siderolabs/talos/pkg/machinery/version.Tag=$TALOSCTL_VERSION" ./cmd/talosctl
  )
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
