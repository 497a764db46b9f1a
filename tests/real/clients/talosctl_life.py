"""What people do with talosctl, in the lab: a cluster's life from the first configuration to its reset.

    stead lab exec -- python3 tests/real/clients/talosctl_life.py TALOSCTL

Ends with a traceback at the first answer that is not what real nodes say.
"""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

TALOSCTL = sys.argv[1]
VERSION, NEXT = "v1.13.9", "v1.13.10"
SCHEMATIC = "customization: {systemExtensions: {officialExtensions: [siderolabs/qemu-guest-agent]}}"
PLANES = ["10.25.150.11", "10.25.150.12", "10.25.150.13"]
WORKER = "10.25.150.21"
NODES = PLANES + [WORKER]
FIRST = PLANES[0]
ENDPOINT = "https://10.25.150.10:6443"
FOLDER = tempfile.mkdtemp()
os.environ["TALOSCONFIG"] = os.path.join(FOLDER, "talosconfig")
os.environ["HOME"] = FOLDER


def http(url, body=None, method=None, token=None):
    data = body.encode() if isinstance(body, str) else urllib.parse.urlencode(body).encode() if body else None
    request = urllib.request.Request(url, data=data, method=method)
    if token:
        request.add_header("Authorization", "PVEAPIToken=" + token)
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context()) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code} {error.read()[:500]}") from error


def pve(method, path, body=None):
    base = os.environ["PROXMOX_VE_ENDPOINT"].rstrip("/") + "/api2/json"
    token = os.environ["PROXMOX_VE_API_TOKEN"]
    data = http(base + path, body, method, token)["data"]
    if isinstance(data, str) and data.startswith("UPID:"):
        quoted = urllib.parse.quote(data, safe="")
        node = data.split(":")[1]
        while True:
            task = http(f"{base}/nodes/{node}/tasks/{quoted}/status", token=token)["data"]
            if task["status"] == "stopped":
                assert task["exitstatus"] == "OK", task
                break
            time.sleep(0.05)
    return data


def machines():
    """Four VMs that wait in maintenance mode."""
    schematic = http("https://factory.talos.dev/schematics", SCHEMATIC)["id"]
    image = f"https://factory.talos.dev/image/{schematic}/{VERSION}/nocloud-amd64.qcow2"
    pve("POST", "/nodes/abel/storage/local/download-url", {"content": "import", "filename": "talos.qcow2", "url": image})
    for number, address in enumerate(NODES):
        pve("POST", "/nodes/abel/qemu", {
            "vmid": 800 + number, "name": f"node-{number}", "memory": 4096, "cores": 2, "agent": 1, "net0": "virtio,bridge=vmbr0",
            "scsi0": "local-lvm:0,import-from=local:import/talos.qcow2", "ipconfig0": f"ip={address}/24,gw=10.25.150.1", "start": 1,
            "ide2": "local-lvm:cloudinit",
        })
    return schematic


def ran(*arguments, timeout=240):
    return subprocess.run([TALOSCTL, *arguments], capture_output=True, text=True, timeout=timeout, cwd=FOLDER)


def ok(*arguments, has=(), timeout=240):
    """Runs talosctl, which must succeed; its output, which must hold these texts."""
    result = ran(*arguments, timeout=timeout)
    said = result.stdout + result.stderr
    assert result.returncode == 0, (arguments, result.returncode, said)
    for text in [has] if isinstance(has, str) else has:
        assert text in said, (arguments, text, said)
    print("ok  ", " ".join(arguments)[:150], flush=True)
    return said


def no(*arguments, has, timeout=240):
    """Runs talosctl, which must fail with this text."""
    result = ran(*arguments, timeout=timeout)
    said = result.stdout + result.stderr
    assert result.returncode != 0 and has in said, (arguments, result.returncode, said)
    print("no  ", " ".join(arguments)[:150], flush=True)


def eventually(call, what):
    deadline = time.time() + 60
    while True:
        try:
            return call()
        except AssertionError as error:
            assert time.time() < deadline, (what, error)
            time.sleep(0.2)


def write(name, text):
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
        file.write(text)


def configure():
    ok("gen", "config", "demo", ENDPOINT, "--output-dir", FOLDER, "--install-disk", "/dev/sda", has="Created")
    write("vip.yaml", "machine: {network: {interfaces: [{interface: eth0, dhcp: true, vip: {ip: 10.25.150.10}}]}}\n")
    for address in NODES:
        eventually(lambda at=address: ok("get", "disks", "--insecure", "-n", at, has="sda"), "maintenance mode")
    ok("apply-config", "--insecure", "-n", FIRST, "-f", "controlplane.yaml", "--dry-run", has="Dry run summary")
    write("bad.yaml", "version: v1alpha1\nmachine: {nonsense: 1}\n")
    no("apply-config", "--insecure", "-n", FIRST, "-f", "bad.yaml", has="nonsense")
    for address in PLANES:
        ok("apply-config", "--insecure", "-n", address, "-f", "controlplane.yaml", "-p", "@vip.yaml")
    ok("apply-config", "--insecure", "-n", WORKER, "-f", "worker.yaml")
    ok("config", "endpoint", *PLANES)
    ok("config", "node", FIRST)
    for address in NODES:
        eventually(lambda at=address: ok("version", "-n", at, has=VERSION), "the configured API")


def bootstrap():
    no("bootstrap", "-n", WORKER, has="bootstrap is only available on control plane nodes")
    ok("bootstrap", "-n", FIRST)
    no("bootstrap", "-n", FIRST, has="AlreadyExists")
    eventually(lambda: [ok("etcd", "members", has=[*PLANES])], "three members")
    # The kubelets' network: the lab's nodes become ready with a network plugin, which flannel is by default.
    ok("kubeconfig", os.path.join(FOLDER, "kubeconfig"), "--force")
    nodes = subprocess.run(["kubectl", "--kubeconfig", os.path.join(FOLDER, "kubeconfig"), "get", "nodes"], capture_output=True, text=True, timeout=60)
    assert nodes.returncode == 0 and nodes.stdout.count("Ready") == 4, nodes
    ok("health", "--control-plane-nodes", ",".join(PLANES), "--worker-nodes", WORKER, "--wait-timeout", "60s", timeout=90)


def modes():
    for number, mode in enumerate(["auto", "no-reboot", "staged", "try"]):
        write("sysctl.yaml", "machine: {sysctls: {vm.max_map_count: '%d'}}\n" % number)
        ok("apply-config", "-n", WORKER, "-f", "worker.yaml", "-p", "@sysctl.yaml", "--mode", mode)
    ok("apply-config", "-n", WORKER, "-f", "worker.yaml", "--mode", "no-reboot")
    ok("apply-config", "-n", WORKER, "-f", "worker.yaml", "--mode", "auto", "--dry-run", has="No changes")


def look():
    for kind, has in [
        ("members", PLANES), ("machinestatus", "running"), ("disks", "sda"), ("systemdisk", "sda"), ("addresses", FIRST), ("hostname", "talos"),
        ("services", "kubelet"), ("links", "eth0"), ("nodename", "talos"), ("volumestatus", "EPHEMERAL"), ("extensions", "qemu-guest-agent"),
        ("staticpodstatus", "kube-apiserver"), ("etcdmembers", ""), ("kubeletspec", "kubelet"), ("timestatus", ""), ("platformmetadata", "nocloud"),
        ("rd", "MachineStatus"), ("machinetype", "controlplane"), ("apiserverconfig", "kube-apiserver"),
    ]:
        ok("get", kind, has=has)
    no("get", "nonsense", has='resource "nonsense" is not registered')
    ok("services", has=["etcd", "kubelet", "apid", "Running"])
    ok("service", "kubelet", has="HEALTH")
    ok("service", "kubelet", "restart", has="restarted")
    no("service", "etcd", "stop", has="doesn't support stop operation via API")
    no("service", "nonsense", "restart", has='service "nonsense" not defined')
    eventually(lambda: ok("service", "kubelet", "status", has="Running"), "the kubelet")
    ok("-n", ",".join(NODES), "version", has=NODES)
    ok("containers", has="apid")
    ok("containers", "-k", has="kube-apiserver")
    ok("stats", "-k", has="kube-scheduler")
    ok("dmesg", has="booting Talos")
    ok("logs", "kubelet", has="running")
    ok("logs", "machined", "--tail", "3")
    no("logs", "nonsense", has="was not registered")
    ok("image", "list", has="kube-apiserver")
    ok("image", "pull", "registry.k8s.io/pause:3.10")
    ok("read", "/etc/os-release", has=VERSION)
    no("read", "/nonsense", has="no such file or directory")
    ok("ls", "-l", "/etc", has="os-release")
    ok("usage", "/etc")
    ok("mounts", has="/var")
    ok("memory", has="TOTAL")
    ok("processes", has="etcd")
    ok("netstat", "-l", has="50000")
    ok("time", has=FIRST)
    ok("cgroups", "--help")
    ok("inspect", "dependencies", has="MachineStatus")
    ok("meta", "write", "0xa", "hello")
    ok("get", "metakeys", has="hello")
    ok("meta", "delete", "0xa")
    no("meta", "delete", "0xa", has="meta key not found")
    ok("config", "new", "reader", "--roles", "os:reader")
    no("reboot", "--talosconfig", os.path.join(FOLDER, "reader"), "-n", WORKER, "-e", FIRST, "--wait=false", has="PermissionDenied")
    ok("copy", "/etc", os.path.join(FOLDER, "etc"))


def etcd():
    ok("etcd", "status", has="3.6")
    ok("etcd", "alarm", "list")
    ok("etcd", "defrag")
    ok("etcd", "snapshot", os.path.join(FOLDER, "db.snapshot"), has="snapshot info")
    no("etcd", "members", "-n", WORKER, has="member list is only available on control plane nodes")
    ok("etcd", "forfeit-leadership")


def upgrade():
    image = f"ghcr.io/siderolabs/installer:{NEXT}"
    ok("upgrade", "-n", WORKER, "--image", image, "--timeout", "60s", timeout=120)
    eventually(lambda: ok("version", "-n", WORKER, has=NEXT), "the new version")
    ok("rollback", "-n", WORKER)
    eventually(lambda: ok("version", "-n", WORKER, "--short", has=VERSION), "the old version")
    for address in PLANES:
        ok("upgrade", "-n", address, "--image", image, "--timeout", "60s", timeout=120)
        eventually(lambda: ok("etcd", "status", "-n", ",".join(PLANES)), "all members")
    no("upgrade", "-n", WORKER, "--image", "ghcr.io/siderolabs/installer:v1.99.0", "--timeout", "30s", has="not found")
    ok("reboot", "-n", WORKER, "--timeout", "60s", timeout=120)


def kubernetes():
    ok("upgrade-k8s", "-n", FIRST, "--to", "1.36.4", "--dry-run", has="automatically detected the lowest Kubernetes version")
    ok("upgrade-k8s", "-n", FIRST, "--to", "1.36.4", has="successfully updated", timeout=600)


def end():
    last = PLANES[2]
    ok("etcd", "leave", "-n", last)
    eventually(lambda: ok("service", "etcd", "-n", last, has="Finished"), "the end of etcd")
    ok("reset", "-n", WORKER, "--graceful=false", "--reboot", "--system-labels-to-wipe", "STATE", "--system-labels-to-wipe", "EPHEMERAL", "--wait=false")
    eventually(lambda: ok("get", "machinestatus", "--insecure", "-n", WORKER, has="maintenance"), "maintenance mode")
    ok("shutdown", "-n", last, "--force", "--timeout", "60s", timeout=120)


STEPS = [configure, bootstrap, modes, look, etcd, upgrade, kubernetes, end]


def main():
    machines()
    failed = []
    for step in STEPS:
        print("==", step.__name__, flush=True)
        if os.environ.get("TALOSCTL_LIFE_GOES_ON"):
            try:
                step()
            except Exception as error:  # pylint: disable=broad-except
                print("FAILED", step.__name__, str(error)[:3000], flush=True)
                failed.append(step.__name__)
        else:
            step()
    assert not failed, failed
    print("talosctl is content")


if __name__ == "__main__":
    main()
