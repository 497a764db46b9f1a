#!/usr/bin/env bash
# Measures what benches/README.md claims, and prints Markdown tables.
#
#   benches/measure.sh [path of the stead binary]       default: target/release/stead
#
# STEAD_SIZES="2000 20000"   numbers of resources        (Terraform only runs those up to STEAD_TERRAFORM_MAX, 2000)
# STEAD_RUNS=5               runs of version and validate; the fastest counts
#
# Everything happens in a temporary folder. With `terraform` (or the program in TERRAFORM) installed, the same folders are given to it in the
# same run, and the ratios are printed. Times are the process's own user + system time with its children's; memory is its greatest resident set.
set -euo pipefail
cd "$(dirname "$0")/.."
stead=$(realpath "${1:-target/release/stead}")
sizes=${STEAD_SIZES:-2000 20000}
runs=${STEAD_RUNS:-5}
terraform_max=${STEAD_TERRAFORM_MAX:-2000}
terraform=$(command -v "${TERRAFORM:-terraform}" || true)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 NO_COLOR=1
unset STEAD_LOG TF_LOG

usage=$PWD/benches/usage.py
measure() { python3 "$usage" "$work/output" "$@"; }

best() { # the run with the least CPU of several
  for _ in $(seq "$runs"); do measure "$@"; done | sort -n | head -1
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.1f×", a / b; else printf "–" }'; }

stack() { # KIND N: writes main.tf
  case $1 in
    wide) awk -v n="$2" 'BEGIN {
        for (i = 0; i < n; i++) printf "resource \"terraform_data\" \"r%d\" {\n  input = %d\n}\n", i, i }' ;;
    # Chains of 50: each refers to the one before.
    chain) awk -v n="$2" 'BEGIN {
        for (i = 0; i < n; i++) {
          if (i % 50) value = "terraform_data.r" (i - 1) ".output"; else value = i
          printf "resource \"terraform_data\" \"r%d\" {\n  input = %s\n}\n", i, value } }' ;;
    # One resource with for_each over a map: instances, not blocks.
    each) printf 'locals {\n  all = { for i in range(%d) : "k${i}" => i }\n}\nresource "terraform_data" "r" {\n  for_each = local.all\n  input    = each.value\n}\n' "$2" ;;
  esac >main.tf
}

row() { # LABEL COMMAND…: a line of the table, with Terraform beside it when it is to run
  local label=$1 with=$2
  shift 2
  local cpu rss wall t_cpu=– t_rss=– cpu_ratio=– rss_ratio=–
  read -r cpu rss wall < <(cd stead && measure "$stead" "$@")
  [ -n "${wall:-}" ] || exit 1
  if [ "$with" = yes ]; then
    read -r t_cpu t_rss _ < <(cd terraform && measure "$terraform" "$@")
    [ -n "${t_rss:-}" ] || exit 1
    cpu_ratio=$(ratio "$t_cpu" "$cpu")
    rss_ratio=$(ratio "$t_rss" "$rss")
  fi
  echo "| $label | $cpu | $wall | $rss | $t_cpu | $t_rss | $cpu_ratio | $rss_ratio |"
}

echo "$("$stead" version | head -1), $(uname -sm), $(nproc) cores, $(date -u +%F)$([ -n "$terraform" ] && echo ", $("$terraform" version 2>/dev/null | head -1)")"
echo
echo "| N, shape | command | stead CPU s | wall s | MB | Terraform CPU s | MB | CPU ratio | memory ratio |"
echo "|---|---|---|---|---|---|---|---|---|"
for n in $sizes; do
  for kind in wide chain each; do
    folder=$work/$kind-$n
    mkdir -p "$folder/stead" "$folder/terraform"
    cd "$folder"
    with=no
    if [ -n "$terraform" ] && [ "$n" -le "$terraform_max" ]; then with=yes; fi
    (cd stead && stack "$kind" "$n")
    (cd terraform && stack "$kind" "$n")
    if [ "$with" = yes ]; then (cd terraform && "$terraform" init -no-color >/dev/null 2>&1); fi
    row "$n $kind | plan" "$with" plan -no-color
    row "$n $kind | apply" "$with" apply -auto-approve -no-color
    row "$n $kind | plan, no changes" "$with" plan -no-color
  done
done

echo
echo "| start | stead CPU s | MB | Terraform CPU s | MB | CPU ratio |"
echo "|---|---|---|---|---|---|"
cd "$work/$kind-$n"
(cd stead && stack wide 10 && rm -f terraform.tfstate*)
(cd terraform && stack wide 10 && rm -f terraform.tfstate*)
for command in version validate; do
  read -r cpu rss _ < <(cd stead && best "$stead" $command)
  t_cpu=– t_rss=– cpu_ratio=–
  if [ -n "$terraform" ]; then
    (cd terraform && "$terraform" init -no-color >/dev/null 2>&1)
    read -r t_cpu t_rss _ < <(cd terraform && best "$terraform" $command)
    cpu_ratio=$(ratio "$t_cpu" "$cpu")
  fi
  echo "| \`$command\` | $cpu | $rss | $t_cpu | $t_rss | $cpu_ratio |"
done
