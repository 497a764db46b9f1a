"""What people do with talosctl, in the lab: a cluster's life from the first configuration to its reset.

    stead lab exec -- python3 tests/real/clients/talosctl_life.py TALOSCTL

Ends with a traceback at the first answer that is not what real nodes say.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time

from machines import NODES, PLANES, VERSION, WORKER, machines

TALOSCTL = sys.argv[1]
NEXT = "v1.13.10"
FIRST = PLANES[0]
ENDPOINT = "https://10.25.150.10:6443"
FOLDER = tempfile.mkdtemp()
os.environ["TALOSCONFIG"] = os.path.join(FOLDER, "talosconfig")
os.environ["HOME"] = FOLDER


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


def followed(arguments, has):
    """Runs talosctl, which goes on and on; what it says within 10 seconds must hold this text."""
    with subprocess.Popen([TALOSCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=FOLDER) as process:
        timer = threading.Timer(10, process.kill)
        timer.start()
        said = ""
        for line in process.stdout:
            said += line
            if has in said:
                break
        timer.cancel()
        process.kill()
    assert has in said, (arguments, has, said)
    print("ok  ", " ".join(arguments)[:150], flush=True)


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


def config_of(node, id):
    """A machine configuration as the node has it."""
    return ok("get", "machineconfig", id, "-n", node, "-o", "jsonpath={.spec}")


def without(node, text):
    assert text not in config_of(node, "v1alpha1")


def boot_id(node):
    return ran("read", "/proc/sys/kernel/random/boot_id", "-n", node).stdout


def rebooted(node, before):
    now = boot_id(node)
    assert now and now != before, (now, before)


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
    for server in ["--server=true", "--server=false"]:
        ok("health", server, "--control-plane-nodes", ",".join(PLANES), "--worker-nodes", WORKER, "--wait-timeout", "60s", timeout=90)


def generate():
    """What needs no node."""
    ok("gen", "secrets", "-o", "secrets.yaml", has="")
    ok("gen", "config", "other", ENDPOINT, "--with-secrets", "secrets.yaml", "--output-types", "worker", "-o", "other.yaml", "--force")
    ok("validate", "--config", "other.yaml", "--mode", "cloud", has="is valid for cloud mode")
    no("validate", "--config", "bad.yaml", "--mode", "cloud", has="nonsense")
    ok("machineconfig", "patch", "other.yaml", "-p", "@vip.yaml", "-o", "patched.yaml")
    ok("gen", "ca", "--organization", "homelab", "--force")
    ok("gen", "key", "--name", "me", "--force")
    ok("gen", "csr", "--key", "me.key", "--ip", FIRST, "--force")
    ok("gen", "crt", "--ca", "homelab", "--csr", "me.csr", "--name", "me", "--force")
    ok("config", "info", has=["demo", FIRST])
    ok("config", "contexts", has="demo")
    ok("config", "add", "spare", "--ca", "homelab.crt", "--crt", "me.crt", "--key", "me.key")
    ok("config", "context", "demo")
    ok("config", "remove", "spare", "-y")
    write("pod.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n")
    ok("inject", "serviceaccount", "--roles", "os:reader", "-f", "pod.yaml", has=["talos.dev/v1alpha1", "os:reader"])


def modes():
    for number, mode in enumerate(["auto", "no-reboot", "staged", "try"]):
        write("sysctl.yaml", "machine: {sysctls: {vm.max_map_count: '%d'}}\n" % number)
        ok("apply-config", "-n", WORKER, "-f", "worker.yaml", "-p", "@sysctl.yaml", "--mode", mode)
    ok("apply-config", "-n", WORKER, "-f", "worker.yaml", "--mode", "no-reboot")
    ok("apply-config", "-n", WORKER, "-f", "worker.yaml", "--mode", "auto", "--dry-run", has="No changes")
    # Udev rules are among what takes effect at a boot only.
    write("udev.yaml", "machine: {udev: {rules: ['SUBSYSTEM==\"stead-test\"']}}\n")
    udev = ["apply-config", "-n", WORKER, "-f", "worker.yaml", "-p", "@udev.yaml", "--mode"]
    no(*udev, "no-reboot", has="can't be applied in immediate mode")
    ok(*udev, "staged", has="Staged configuration")
    assert "stead-test" not in config_of(WORKER, "v1alpha1") and "stead-test" in config_of(WORKER, "persistent")
    before = boot_id(WORKER)
    ok(*udev, "reboot", has="Applied configuration with a reboot")
    eventually(lambda: rebooted(WORKER, before), "the reboot")
    assert "stead-test" in config_of(WORKER, "v1alpha1")
    ok(*udev, "try", "--timeout", "1s", "-p", '{"machine": {"sysctls": {"vm.swappiness": "11"}}}', has="automatically reverted")
    assert "vm.swappiness" in config_of(WORKER, "v1alpha1")
    eventually(lambda: without(WORKER, "vm.swappiness"), "the end of the trial")
    patch = '[{"op": "add", "path": "/machine/sysctls", "value": {"vm.swappiness": "12"}}]'
    no("patch", "mc", "-n", WORKER, "-p", patch, has="JSON6902 patches are not supported for multi-document machine configuration")
    patch = '{"machine": {"sysctls": {"vm.swappiness": "13"}}}'
    ok("patch", "mc", "-n", WORKER, "-p", patch, "--dry-run", has=["Dry run summary", 'vm.swappiness: "13"'])
    assert "vm.swappiness" not in config_of(WORKER, "v1alpha1")
    ok("patch", "mc", "-n", WORKER, "-p", patch, has="patched MachineConfigs.config.talos.dev/v1alpha1 at the node " + WORKER)
    ok("patch", "mc", "-n", WORKER, "-p", patch, has="no changes detected")
    ok("patch", "machineconfig", "-n", f"{FIRST},{WORKER}", "-p", patch, "--mode", "no-reboot", has=f"at the node {FIRST}")
    for id in ["v1alpha1", "persistent"]:
        assert '"13"' in config_of(WORKER, id) and "HostnameConfig" in config_of(WORKER, id)
    os.environ["EDITOR"] = "sed -i s/swappiness/max_map_count/"
    ok("edit", "mc", "-n", WORKER, has="Applied configuration without a reboot")
    assert "vm.max_map_count" in config_of(WORKER, "persistent")
    ok("edit", "mc", "-n", WORKER, has="no changes detected")


def look():
    for kind, has in [
        ("members", PLANES), ("machinestatus", "running"), ("disks", "sda"), ("systemdisk", "sda"), ("addresses", FIRST), ("hostname", "node-0"),
        ("services", "kubelet"), ("links", "eth0"), ("nodename", "node-0"), ("volumestatus", "EPHEMERAL"), ("extensions", "qemu-guest-agent"), ("svc", "kubelet"), ("routes", "10.25.150.1"), ("resolvers", "1.1.1.1"), ("timeservers", "time.cloudflare.com"),
        ("staticpodstatus", "kube-apiserver"), ("etcdmembers", ""), ("kubeletspec", "kubelet"), ("timestatus", ""), ("platformmetadata", "nocloud"),
        ("rd", "machinestatus"), ("machinetype", "controlplane"), ("apiserverconfig", "kube-apiserver"),
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
    os.mkdir(os.path.join(FOLDER, "copied"))
    ok("copy", "/etc", os.path.join(FOLDER, "copied"))
    assert VERSION in open(os.path.join(FOLDER, "copied", "os-release"), encoding="utf-8").read()
    ok("get", "members", "-o", "json", has=PLANES)
    ok("get", "members", "-o", "yaml", has="node: " + FIRST)
    ok("get", "mc", "v1alpha1", "-o", "yaml", has=["    version: v1alpha1", "kind: HostnameConfig"])
    ok("get", "disks", "-n", ",".join(NODES), has=NODES)
    ok("get", "disk", "sda", has="sda")
    no("get", "disk", "nonsense", has="doesn't exist")
    followed(["events", "--tail", "-1"], "machine.ServiceStateEvent")
    followed(["events", "--duration", "10m"], "machine.")
    followed(["dmesg", "-f"], "booting Talos")
    followed(["logs", "kubelet", "-f"], "running")
    followed(["get", "machinestatus", "-w"], "running")
    ok("memory", "-v", has="MemTotal")
    ok("processes", "--sort", "cpu", has="kubelet")
    ok("mounts", "-n", ",".join(NODES), has=NODES)
    ok("list", "-r", "/etc/kubernetes", has="manifests")
    ok("usage", "-a", "-d", "2", "/etc", has="os-release")
    ok("cgroups", "--preset", "memory", has="NAME")
    no("debug", "registry.k8s.io/pause:3.10", has="not implemented")
    no("wipe", "disk", "sda", has="in use")
    ok("support", "-n", f"{FIRST},{WORKER}", "-O", os.path.join(FOLDER, "support.zip"), "-v", has="Support bundle is written")


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
    ok("reboot", "-n", WORKER, "--timeout", "60s", has="post check passed", timeout=120)
    ok("reboot", "-n", WORKER, "--mode", "powercycle", "--timeout", "60s", has="post check passed", timeout=120)
    ok("upgrade", "-n", WORKER, "--image", image, "--legacy", "--drain=false", "--timeout", "60s", timeout=120)
    eventually(lambda: ok("version", "-n", WORKER, has=NEXT), "the new version")


def kubernetes():
    ok("upgrade-k8s", "-n", FIRST, "--to", "1.36.4", "--dry-run", has="automatically detected the lowest Kubernetes version")
    ok("upgrade-k8s", "-n", FIRST, "--to", "1.36.4", has="successfully updated", timeout=600)


def alone():
    members = ok("etcd", "members")
    assert FIRST in members and PLANES[1] not in members, members


def end():
    last = PLANES[2]
    ok("etcd", "leave", "-n", last)
    eventually(lambda: ok("service", "etcd", "-n", last, has="Finished"), "the end of etcd")
    # The client waits for the end of the services, and for maintenance mode where the machine starts again.
    labels = ["--system-labels-to-wipe", "STATE", "--system-labels-to-wipe", "EPHEMERAL", "--timeout", "60s"]
    ok("reset", "-n", WORKER, "--graceful=false", "--reboot", *labels, has="post check passed", timeout=90)
    ok("get", "machinestatus", "--insecure", "-n", WORKER, has="maintenance")
    ok("apply-config", "--insecure", "-n", WORKER, "-f", "worker.yaml")
    eventually(lambda: ok("version", "-n", WORKER), "the configured API")
    ok("reset", "-n", WORKER, *labels, has="events check condition met", timeout=90)
    ok("reset", "-n", PLANES[1], *labels, has="events check condition met", timeout=90)
    eventually(lambda: alone(), "the last member")
    ok("shutdown", "-n", last, "--force", "--timeout", "60s", timeout=120)


STEPS = [configure, generate, bootstrap, modes, look, etcd, upgrade, kubernetes, end]


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
