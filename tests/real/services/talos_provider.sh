# The published provider siderolabs/talos makes a cluster of the lab's machines, and stead plans with its state. Needs terraform or tofu, kubectl and python3.
# TALOS_PROVIDER_0_11 and TALOS_PROVIDER_0_12 name a binary of each line that is there already (terraform-provider-talos in a folder of its own);
# without them a release is mirrored from the registry.
LINES="0.11 0.12"

release() { case $1 in 0.11) echo 0.11.0 ;; 0.12) echo 0.12.0-beta.0 ;; esac; }
reference() { command -v terraform || command -v tofu; }
mirror() { echo "$CACHE/talos-provider-$(release "$1")"; }
given() { local name=TALOS_PROVIDER_${1/./_}; echo "${!name:-}"; }

install() {
  local line found=no
  [ -n "$(reference)" ] || { echo "neither terraform nor tofu is on the PATH"; return 1; }
  for line in $LINES; do
    if [ -n "$(given "$line")" ] || [ -d "$(mirror "$line")" ]; then found=yes; continue; fi
    mkdir -p "$DATA/$line"
    printf 'terraform {\n  required_providers {\n    talos = { source = "siderolabs/talos", version = "%s" }\n  }\n}\n' "$(release "$line")" >"$DATA/$line/main.tf"
    if (cd "$DATA/$line" && "$(reference)" providers mirror mirror) >"$DATA/mirror.out" 2>&1; then
      mv "$DATA/$line/mirror" "$(mirror "$line")"
      found=yes
    else
      echo "siderolabs/talos $(release "$line") cannot be had from the registry here"
    fi
  done
  [ "$found" = yes ]
}

start() { :; }
stop() { :; }

check() {
  local line
  cargo build -q -p stead
  for line in $LINES; do
    local binary
    binary=$(given "$line")
    if [ -z "$binary" ] && [ ! -d "$(mirror "$line")" ]; then
      echo "siderolabs/talos $(release "$line") is not installed (--install), and TALOS_PROVIDER_${line/./_} names none: skipped"
      continue
    fi
    printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$(mirror "$line")" >"$DATA/mirror.rc"
    # The lab is in the default features.
    TF_CLI_CONFIG_FILE=$DATA/mirror.rc "${CARGO_TARGET_DIR:-target}/debug/stead" lab exec --lab-dir "$DATA/lab-$line" -- \
      python3 tests/real/clients/talos_provider.py "$(realpath "${CARGO_TARGET_DIR:-target}/debug/stead")" "$line" ${binary:+"$binary"}
  done
}
