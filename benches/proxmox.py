#!/usr/bin/env python3
"""Measures the Proxmox provider against a large cluster in the lab: the refresh of many machines, and many clones of one template at the same time.

Usage: proxmox.py [--stead PATH] [--machines N] [--clones N] [--latency MS] [--pace PACE]

The lab is a process of its own; CPU and MB are stead's alone. Requests are those that the lab counted: a fault that lets a great many occasions pass
is set for its Proxmox, and how many are left is read afterwards, in a run that is not timed.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
MANY = 1_000_000_000
VERSIONS = 'terraform {\n  required_providers {\n    proxmox = { source = "bpg/proxmox" }\n  }\n}\n'
NODES = 'locals {\n  nodes = ["abel", "cantor", "euclid"]\n}\n'
MACHINES = """resource "proxmox_virtual_environment_vm" "many" {
  count     = %d
  node_name = local.nodes[count.index %% 3]
  vm_id     = 1000 + count.index
  name      = "vm${count.index}"
  agent {
    enabled = %s
    # Nothing runs in these machines that would answer.
    timeout = "1s"
  }
  memory {
    dedicated = 128
  }
}
"""
CLONES = """resource "proxmox_virtual_environment_vm" "template" {
  node_name = "abel"
  vm_id     = 900
  name      = "template"
  template  = true
  disk {
    interface    = "scsi0"
    datastore_id = "local-lvm"
    size         = 1
  }
}
resource "proxmox_virtual_environment_vm" "clone" {
  count     = %d
  node_name = local.nodes[count.index %% 3]
  name      = "clone${count.index}"
  started   = false
  clone {
    vm_id = proxmox_virtual_environment_vm.template.vm_id
  }
}
"""


class Lab:
    """A lab in a folder, as long as it is needed."""

    def __init__(self, stead, folder, *options):
        self.log = open(folder / "lab.log", "w+", encoding="utf-8")
        command = [stead, "lab", "up", "--lab-dir", folder / "lab", *options]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=folder)
        while "# Ctrl-C" not in (text := (folder / "lab.log").read_text(encoding="utf-8")):
            if self.process.poll() is not None:
                sys.exit(text)
            time.sleep(0.05)
        exports = (line.removeprefix("export ").split("=", 1) for line in text.splitlines() if line.startswith("export "))
        self.environment = {name: value.strip("'") for name, value in exports}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.log.close()

    def peak(self):
        """The greatest resident set, in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def _site(self, verb, path, body=None):
        proxy = urllib.request.ProxyHandler({"http": self.environment["STEAD_DIAL"].replace("connect:", "http:")})
        request = urllib.request.Request(f"http://lab.stead{path}", method=verb, data=body and json.dumps(body).encode())
        with urllib.request.build_opener(proxy).open(request) as answer:
            return json.load(answer)

    def count(self, work):
        """How many requests the lab's Proxmox has while the work is done."""
        self._site("POST", "/faults", {"name": "proxmox", "effect": "on", "skip": MANY})
        work()
        left = next(fault["skip"] for fault in self._site("GET", "/faults") if fault["name"] == "proxmox")
        self._site("DELETE", "/faults")
        return MANY - left

    def run(self, stead, folder, *arguments):
        """CPU seconds, MB and wall seconds of a command."""
        command = [sys.executable, HERE / "usage.py", folder / "output", stead, *arguments, "-no-color", "-input=false"]
        environment = {**os.environ, **self.environment}
        for name in ("STEAD_LOG", "TF_LOG"):
            environment.pop(name, None)
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        return tuple(float(figure) for figure in done.stdout.split())


def row(what, usage, requests, lab):
    cpu, memory, wall = usage
    print(f"| {what} | {cpu:.2f} | {wall:.2f} | {memory:.0f} | {requests} | {lab.peak():.0f} |", flush=True)


def refresh(stead, arguments, agent):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        text = VERSIONS + NODES + MACHINES % (arguments.machines, "true" if agent else "false")
        (folder / "main.tf").write_text(text, encoding="utf-8")
        with Lab(stead, folder) as lab:
            row(f"making {arguments.machines} machines, no latency", lab.run(stead, folder, "apply", "-auto-approve", "-parallelism=100"), "–", lab)
        with Lab(stead, folder, "--latency", str(arguments.latency)) as lab:
            plan = lambda: lab.run(stead, folder, "plan", "-detailed-exitcode")
            requests = lab.count(plan)
            with_agent = "with an agent" if agent else "without an agent"
            row(f"plan without changes, {arguments.machines} machines {with_agent}, {arguments.latency} ms", plan(), requests, lab)


def clones(stead, arguments):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "main.tf").write_text(VERSIONS + NODES + CLONES % arguments.clones, encoding="utf-8")
        options = ("--latency", str(arguments.latency), "--pace", str(arguments.pace))
        with Lab(stead, folder, *options) as lab:
            usage = lab.run(stead, folder, "apply", "-auto-approve")
            row(f"{arguments.clones} full clones on three nodes, pace {arguments.pace}", usage, "–", lab)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stead", default="target/release/stead")
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--clones", type=int, default=60)
    parser.add_argument("--latency", type=int, default=20)
    parser.add_argument("--pace", type=float, default=0.05)
    arguments = parser.parse_args()
    stead = pathlib.Path(arguments.stead).resolve()
    print("| work | CPU s | wall s | MB | requests | the lab's MB |\n|---|---|---|---|---|---|")
    for agent in (False, True):
        refresh(stead, arguments, agent)
    clones(stead, arguments)


if __name__ == "__main__":
    main()
