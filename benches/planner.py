#!/usr/bin/env python3
"""Measures planning and applying N built-in resources in five shapes, and start-up; prints Markdown tables.

    benches/planner.py [--stead target/release/stead] [--sizes 1000,10000,100000] [--shapes wide,chain,…]
                       [--reference terraform] [--reference-max 1000]

Everything happens in a temporary folder. Where the reference is installed, the same folders are given to it in the same run, up to
--reference-max resources. CPU is the process's own user and system time with its children's, MB its greatest resident set, both as the
kernel counts them (`wait4`). Below each shape stands how time and memory grow from the last size but one to the last.
"""
import argparse
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time


def wide(n):
    """N blocks that know nothing of each other."""
    return {"main.tf": "".join(f'resource "terraform_data" "r{i}" {{\n  input = {i}\n}}\n' for i in range(n))}


def chain(n):
    """Chains of 10: each block refers to the one before."""
    value = lambda i: f"terraform_data.r{i - 1}.output" if i % 10 else i
    return {"main.tf": "".join(f'resource "terraform_data" "r{i}" {{\n  input = {value(i)}\n}}\n' for i in range(n))}


def pairs(n):
    """Two blocks of N/2 instances, the second referring to the first by `count.index`."""
    block = 'resource "terraform_data" "%s" {\n  count = %d\n  input = %s\n}\n'
    return {"main.tf": block % ("a", n // 2, "count.index") + block % ("b", n // 2, "terraform_data.a[count.index].output")}


def modules(n):
    """N/10 module instances of 10 resources."""
    keys = f'[for i in range({n // 10}) : "k${{i}}"]'
    if n // 10 > 1024:  # `range` gives at most 1,024 elements
        keys = f'flatten([for h in range({-(-n // 10000)}) : [for i in range(1000) : "k${{h * 1000 + i}}" if h * 1000 + i < {n // 10}]])'
    call = f'module "m" {{\n  source   = "./m"\n  for_each = toset({keys})\n  name     = each.key\n}}\n'
    inner = 'variable "name" { type = string }\n' + "".join(
        f'resource "terraform_data" "r{i}" {{\n  input = "${{var.name}}-{i}"\n}}\n' for i in range(10)
    )
    return {"main.tf": call, "m/main.tf": inner}


def each(n):
    """One block with `for_each` over N keys."""
    keys = f'locals {{\n  all = {{ for i in range({n}) : "k${{i}}" => i }}\n}}\n'
    if n > 1024:  # `range` gives at most 1,024 elements
        keys = f'locals {{\n  all = merge([for h in range({-(-n // 1000)}) : {{ for i in range(1000) : "k${{h * 1000 + i}}" => i if h * 1000 + i < {n} }}]...)\n}}\n'
    return {"main.tf": keys + 'resource "terraform_data" "r" {\n  for_each = local.all\n  input    = each.value\n}\n'}


SHAPES = {f.__name__: f for f in (wide, chain, pairs, modules, each)}
COMMANDS = {
    "plan": ["plan", "-no-color"],
    "apply": ["apply", "-auto-approve", "-no-color"],
    "plan, no changes": ["plan", "-no-color"],
    "plan, no changes, no refresh": ["plan", "-refresh=false", "-no-color"],
}
ENVIRONMENT = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull}


def measure(folder, *command):
    """CPU seconds, peak MB and wall seconds of a command that must succeed."""
    with tempfile.TemporaryFile() as log:
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env={**ENVIRONMENT, "HOME": str(folder)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{log.read()[-2000:].decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, wall


def lay_out(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def ratio(a, b):
    return f"{a / b:.1f}×" if b else "–"


def row(label, own, other):
    cpu, mb, wall = own
    beside = f"{other[0]:.2f} | {other[1]:.0f} | {ratio(other[0], cpu)} | {ratio(other[1], mb)}" if other else "– | – | – | –"
    print(f"| {label} | {cpu:.3f} | {wall:.3f} | {mb:.0f} | {beside} |", flush=True)


def scale(arguments, work):
    print("| N, shape | command | stead CPU s | wall s | MB | reference CPU s | MB | CPU ratio | memory ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for shape in arguments.shapes.split(","):
        measured = {}
        for n in map(int, arguments.sizes.split(",")):
            folders = [(arguments.stead, work / f"{shape}-{n}-stead")]
            if arguments.reference and n <= arguments.reference_max:
                folders.append((arguments.reference, work / f"{shape}-{n}-reference"))
            for program, folder in folders:
                lay_out(folder, SHAPES[shape](n))
                measure(folder, program, "init", "-no-color")
            for name, command in COMMANDS.items():
                figures = [measure(folder, program, *command) for program, folder in folders]
                measured[name, n] = figures[0]
                row(f"{n:,} {shape} | {name}", figures[0], figures[1] if len(figures) > 1 else None)
            for _, folder in folders:
                shutil.rmtree(folder)
        sizes = sorted({n for _, n in measured})
        if len(sizes) > 1:
            small, large = sizes[-2:]
            grown = [
                f"{name} {ratio(measured[name, large][0], measured[name, small][0])} CPU, {ratio(measured[name, large][1], measured[name, small][1])} MB"
                for name in COMMANDS
            ]
            print(f"| {shape}: {small:,} → {large:,} | {'; '.join(grown)} | | | | | | | |", flush=True)


def start_up(arguments, work):
    print("\n| start (best of 5) | stead CPU s | wall s | MB | reference CPU s | MB | CPU ratio | memory ratio |")
    print("|---|---|---|---|---|---|---|---|")
    folder = work / "start"
    lay_out(folder, wide(10))
    programs = [arguments.stead, *filter(None, [arguments.reference])]
    for program in programs:
        measure(folder, program, "init", "-no-color")
    for command in ("version", "validate"):
        best = [min(measure(folder, program, command) for _ in range(5)) for program in programs]
        row(f"`{command}`", best[0], best[1] if len(best) > 1 else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stead", default="target/release/stead")
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--reference", default=shutil.which("terraform"))
    parser.add_argument("--reference-max", type=int, default=1000)
    arguments = parser.parse_args()
    arguments.stead = str(pathlib.Path(arguments.stead).resolve())
    version = lambda program: subprocess.run([program, "version"], env=ENVIRONMENT, capture_output=True, text=True).stdout.split("\n")[0]
    tools = ", ".join(version(p) for p in [arguments.stead, *filter(None, [arguments.reference])])
    print(f"{tools}; {platform.machine()}, {os.cpu_count()} cores; {time.strftime('%Y-%m-%d')}\n")
    with tempfile.TemporaryDirectory() as work:
        scale(arguments, pathlib.Path(work))
        start_up(arguments, pathlib.Path(work))


if __name__ == "__main__":
    main()
