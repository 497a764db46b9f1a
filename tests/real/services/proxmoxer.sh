# The lab's Proxmox VE, driven by proxmoxer from PyPI. Needs python3 with venv.
PROXMOXER=2.3.0

install() {
  [ -x "$CACHE/proxmoxer-$PROXMOXER/bin/python" ] && return
  python3 -m venv "$CACHE/proxmoxer-$PROXMOXER.new"
  "$CACHE/proxmoxer-$PROXMOXER.new/bin/pip" install -q "proxmoxer==$PROXMOXER" requests
  mv "$CACHE/proxmoxer-$PROXMOXER.new" "$CACHE/proxmoxer-$PROXMOXER"
}

start() { :; }
stop() { :; }

check() {
  local python="$CACHE/proxmoxer-$PROXMOXER/bin/python"
  if [ ! -x "$python" ]; then
    echo "proxmoxer $PROXMOXER is not installed (--install): skipped"
    return
  fi
  # The lab is in the default features.
  cargo run -q -p stead -- lab exec --lab-dir "$DATA/lab" -- "$python" tests/real/clients/proxmoxer_life.py
}
