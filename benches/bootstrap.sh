#!/usr/bin/env bash
# Measures a stack's bootstrap in the lab, and the plan without changes after it. The lab is a process of its own, so that the
# figures are those of `stead` itself.
#
#   benches/bootstrap.sh [DIR of a stack [path of the stead binary]]      default: stacks/talos-proxmox target/release/stead
#
# Works on a copy of the stack in a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(realpath "${1:-stacks/talos-proxmox}")
stead=$(realpath "${2:-target/release/stead}")
usage=$PWD/benches/usage.py
work=$(mktemp -d)
lab=
finish() {
  if [ -n "$lab" ]; then kill -INT "$lab" 2>/dev/null && wait "$lab" || true; fi
  rm -rf "$work"
}
trap finish EXIT
unset STEAD_LOG TF_LOG

name=$(basename "$dir")
cp -r "$dir" "$work/$name"
rm -rf "$work/$name"/terraform.tfstate* "$work/$name/.stead"
cd "$work"

# Job control gives the lab a group of its own: without it a background process ignores SIGINT.
set -m
"$stead" lab up >lab.log 2>&1 &
lab=$!
set +m
until grep -q '^# Ctrl-C' lab.log; do
  kill -0 "$lab" 2>/dev/null || { cat lab.log >&2; exit 1; }
  sleep 0.05
done

in_lab() { python3 "$usage" output "$stead" lab exec -- "$stead" "$@"; }

echo "| $name | CPU s | wall s | MB |"
echo "|---|---|---|---|"
# With --lab the command finds the lab that is up, and lets the stack's folder stand for its Git repository there.
read -r cpu rss wall < <(python3 "$usage" output "$stead" bootstrap "$name" --lab -no-color)
echo "| bootstrap | $cpu | $wall | $rss |"
read -r cpu rss wall < <(in_lab -chdir="$name" plan -detailed-exitcode -no-color)
echo "| plan, no changes | $cpu | $wall | $rss |"
read -r cpu rss wall < <(in_lab -chdir="$name" destroy -auto-approve -no-color)
echo "| destroy | $cpu | $wall | $rss |"
echo
echo "The lab itself, at its greatest: $(awk '/VmHWM/ { printf "%.1f MB", $2 / 1024 }' "/proc/$lab/status")"
