//! How long reading and laying out 5 MB of configuration takes, in CPU time: `cargo bench -p stead-lang --bench parse`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use stead_lang::config::CONFIGURATION;
use stead_lang::syntax::{SourceFile, parse_file, parse_json_file};

const BYTES: usize = 5_000_000;

fn main() {
    let native = Arc::new(SourceFile::new("bench.tf", native()));
    let json = Arc::new(SourceFile::new("bench.tf.json", json()));
    let broken = Arc::new(SourceFile::new(
        "bench.tf",
        "a = [ 1 2\nb = \"${\n".repeat(BYTES / 18),
    ));
    report("read native syntax", || {
        assert!(parse_file(&native).1.is_empty());
    });
    report("read JSON", || {
        assert!(parse_json_file(&json, &CONFIGURATION).1.is_empty());
    });
    report("lay out", || {
        assert!(stead_lang::fmt::format(&native).is_ok());
    });
    report("read what is broken", || {
        assert!(parse_file(&broken).1.has_errors());
    });
}

/// The least of five runs.
fn report(what: &str, run: impl Fn()) {
    let least = (0..5)
        .map(|_| {
            let before = cpu_time();
            run();
            cpu_time().saturating_sub(before)
        })
        .min();
    println!(
        "| {what} | {:.3} |",
        least.unwrap_or_default().as_secs_f64()
    );
}

/// The time that this thread has run for, as Linux counts it.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

fn native() -> String {
    let mut text = String::with_capacity(BYTES + 1000);
    let mut n = 0;
    while text.len() < BYTES {
        n += 1;
        let _ = writeln!(
            text,
            r#"# The machine number {n}, with its disks.
resource "proxmox_virtual_environment_vm" "machine_{n}" {{
  count     = var.enabled && {n} > 3 ? local.sizes["m{n}"].count : 0 # none at first
  name      = "machine-${{format("%03d", count.index)}}.${{var.domain}}"
  memory    = 2048 * {n}
  tags      = ["a", "b-{n}", var.environment, local.tags[0]]
  labels    = {{ for k, v in var.labels : "${{k}}-{n}" => upper(v) if v != null }}
  addresses = module.network[*].subnets.{n}

  disk {{
    size = try(var.disks["root"].size, 20)
    tier = "gold"
  }}
  initialization {{
    user_data = <<-EOT
      #cloud-config
      hostname: ${{local.name}}
      %{{ for user in var.users ~}}
      - ${{user.name}}
      %{{ endfor ~}}
    EOT
  }}
}}
"#
        );
    }
    text
}

fn json() -> String {
    let mut text = String::from("{\"resource\": {\"terraform_data\": {");
    let mut n = 0;
    while text.len() < BYTES {
        n += 1;
        let _ = writeln!(
            text,
            r#"{}"r{n}": {{"count": 2, "input": {{"name": "machine-${{count.index}}", "sizes": [1, 2.5, -3e2], "on": true, "text": "a\nb"}}, "depends_on": ["terraform_data.r1"], "lifecycle": {{"ignore_changes": ["input.name"]}}}}"#,
            if n == 1 { "" } else { "," }
        );
    }
    text + "}}}"
}
