"""What people script with proxmoxer, in the lab: the life of a machine, and everything around it.

    stead lab exec -- python tests/real/clients/proxmoxer_life.py

Ends with a traceback at the first answer that is not what the real server says.
"""

import io
import os
import time
import urllib.parse

import requests
from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

NODE = "abel"
HOST = urllib.parse.urlsplit(os.environ["PROXMOX_VE_ENDPOINT"]).hostname
CA = os.environ["SSL_CERT_FILE"]
# A published container template, which the lab has at its own address.
TEMPLATE = "debian-12-standard_12.12-1_amd64.tar.zst"
FACTORY = "https://factory.talos.dev"
WITH_AGENT = "customization: {systemExtensions: {officialExtensions: [siderolabs/qemu-guest-agent]}}"


def by_token(text):
    """`USER!NAME=SECRET`, as PVE shows it."""
    name, secret = text.split("=", 1)
    user, token = name.split("!", 1)
    return ProxmoxAPI(HOST, user=user, token_name=token, token_value=secret, verify_ssl=CA)


def by_password(user, password):
    return ProxmoxAPI(HOST, user=user, password=password, verify_ssl=CA)


def refused(status, text, call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except ResourceException as error:
        said = f"{error.status_message} {error.content} {error.errors}"
        assert error.status_code == status and text in said, (error.status_code, said)
        return
    raise AssertionError(f"{call} {arguments} {parameters} was not refused")


def main():
    root = by_token(os.environ["PROXMOX_VE_API_TOKEN"])

    def done(upid):
        """Waits for a task, which must end well."""
        outcome = Tasks.blocking_status(root, upid, timeout=60, polling_interval=0.05)
        assert outcome and outcome["exitstatus"] == "OK", (outcome, Tasks.decode_log(root.nodes(outcome["node"]).tasks(upid).log.get()))
        return outcome

    cluster(root)
    access(root)
    storages(root, done)
    machine(root, done)
    container(root, done)
    firewall(root)
    print("proxmoxer: all as it should be")


def cluster(root):
    assert root.version.get()["release"]
    nodes = {node["node"] for node in root.nodes.get()}
    assert nodes == {"abel", "cantor", "euclid"}, nodes
    for node in nodes:
        assert root.nodes(node).status.get()["memory"]["total"] > 0
    names = {entry["name"] for entry in root.cluster.status.get()}
    assert nodes < names, names
    assert {row["type"] for row in root.cluster.resources.get()} >= {"node", "storage"}


def access(root):
    root.access.roles.post(roleid="Watcher", privs="VM.Audit,Sys.Audit,Pool.Audit")
    root.access.groups.post(groupid="watchers", comment="they look")
    root.access.users.post(userid="ann@pve", password="a long secret", groups="watchers", email="ann@lab.example")
    root.access.acl.put(path="/", groups="watchers", roles="Watcher", propagate=1)
    ann = by_password("ann@pve", "a long secret")
    assert [node["node"] for node in ann.nodes.get()]
    refused(403, "Permission check failed", ann.pools.post, poolid="mine")
    token = root.access.users("ann@pve").token("ci").post(privsep=0, comment="the pipeline")
    ci = by_token(f"{token['full-tokenid']}={token['value']}")
    assert ci.access.permissions.get()["/"]["VM.Audit"] == 1
    root.access.users("ann@pve").token("ci").put(comment="the nightly pipeline")
    assert root.access.users("ann@pve").token.get()[0]["comment"] == "the nightly pipeline"
    root.pools.post(poolid="lab", comment="for trials")
    root.pools("lab").put(storage="local")
    assert {member["storage"] for member in root.pools("lab").get()["members"]} == {"local"}
    root.pools("lab").put(storage="local", delete=1)
    root.access.users("ann@pve").token("ci").delete()
    root.access.users("ann@pve").delete()
    root.access.groups("watchers").delete()
    root.access.roles("Watcher").delete()
    root.pools("lab").delete()
    refused(500, "no such user", root.access.users("ann@pve").get)


def storages(root, done):
    root.storage.post(storage="files", type="dir", path="/srv/files", content="iso,backup", **{"prune-backups": "keep-last=2"})
    assert root.storage("files").get()["path"] == "/srv/files"
    root.storage("files").put(nodes=NODE, disable=0)
    root.storage("files").delete()
    local = root.nodes(NODE).storage("local")
    done(local.upload.post(content="iso", filename=file("small.iso", 70_000)))
    volumes = {volume["volid"]: volume for volume in local.content.get(content="iso")}
    assert volumes["local:iso/small.iso"]["size"] == 70_000, volumes
    done(local.content("local:iso/small.iso").delete())
    done(root.nodes(NODE).aplinfo.post(storage="local", template=TEMPLATE))
    schematic = requests.post(f"{FACTORY}/schematics", data=WITH_AGENT, timeout=10).json()["id"]
    talos = f"{FACTORY}/image/{schematic}/v1.11.3/nocloud-amd64.qcow2"
    asked = root.nodes(NODE)("query-url-metadata").get(url=talos)
    assert asked["size"] > 0, asked
    done(local("download-url").post(content="import", filename="talos.qcow2", url=talos))


def file(name, size):
    content = io.BytesIO(bytes(size))
    content.name = name
    return content


def machine(root, done):
    vmid = root.cluster.nextid.get()
    qemu = root.nodes(NODE).qemu
    done(qemu.post(
        vmid=vmid, name="web", cores=2, memory=2048, agent="enabled=1", ostype="l26", scsihw="virtio-scsi-single",
        scsi0="local-lvm:0,import-from=local:import/talos.qcow2", net0="virtio,bridge=vmbr0", ide2="local-lvm:cloudinit",
        ipconfig0="ip=10.25.150.60/24,gw=10.25.150.1", tags="lab;web", description="one\ntwo",
    ))
    vm = qemu(vmid)
    config = vm.config.get()
    assert config["description"] == "one\ntwo" and config["boot"] == "order=scsi0;net0", config
    refused(500, "already exists", qemu.post, vmid=vmid, name="again")
    refused(400, "is not defined in schema", vm.config.put, colour="red")
    done(vm.resize.put(disk="scsi0", size="+2G"))
    done(vm.config.post(cores=4, digest=vm.config.get()["digest"]))
    refused(500, "checksum mismatch", vm.config.put, cores=1, digest="0" * 40)
    done(vm.status.start.post())
    assert vm.status.current.get()["status"] == "running"
    addresses = agent_addresses(vm)
    assert "10.25.150.60" in addresses, addresses
    done(vm.snapshot.post(snapname="before", description="as it was"))
    vm.config.put(name="changed")
    done(vm.snapshot("before").rollback.post())
    assert vm.config.get()["name"] == "web"
    done(vm.snapshot("before").delete())
    assert [s["name"] for s in vm.snapshot.get()] == ["current"]
    done(root.nodes(NODE).vzdump.post(vmid=vmid, storage="local", mode="stop", compress="zstd"))
    backups = root.nodes(NODE).storage("local").content.get(content="backup", vmid=vmid)
    assert len(backups) == 1, backups
    if vm.status.current.get()["status"] == "running":
        done(vm.status.stop.post())
    copy = int(root.cluster.nextid.get())
    done(vm.clone.post(newid=copy, name="copy", full=1, storage="local-zfs"))
    assert qemu(copy).config.get()["scsi0"].startswith("local-zfs:")
    done(qemu(copy).migrate.post(target="cantor", targetstorage="local-zfs"))
    there = root.nodes("cantor").qemu(copy)
    assert there.config.get()["name"] == "copy"
    done(vm.template.post())
    started = vm.status.start.post()
    outcome = Tasks.blocking_status(root, started, timeout=60, polling_interval=0.05)
    assert "you can't start a vm if it's a template" in outcome["exitstatus"], outcome
    done(there.delete(purge=1, **{"destroy-unreferenced-disks": 1}))
    done(root.nodes(NODE).storage("local").content(backups[0]["volid"]).delete())
    done(vm.delete())
    refused(500, "does not exist", vm.config.get)
    done(root.nodes(NODE).storage("local").content("local:import/talos.qcow2").delete())


def agent_addresses(vm):
    """What the agent says, once it is up."""
    for _ in range(200):
        try:
            interfaces = vm.agent("network-get-interfaces").get()["result"]
            return [ip["ip-address"] for interface in interfaces for ip in interface.get("ip-addresses", [])]
        except ResourceException as error:
            assert "QEMU guest agent is not running" in str(error) or error.status_code == 500, error
            time.sleep(0.05)
    raise AssertionError("the agent says nothing")


def container(root, done):
    lxc = root.nodes(NODE).lxc
    done(lxc.post(
        vmid=250, hostname="small", ostemplate=f"local:vztmpl/{TEMPLATE}", rootfs="local-lvm:4", memory=256, unprivileged=1,
        net0="name=eth0,bridge=vmbr0,ip=dhcp", password="a long secret", description="one",
    ))
    assert lxc(250).config.get()["description"] == "one\n", "a container's description ends with a line"
    done(lxc(250).status.start.post())
    assert lxc(250).status.current.get()["status"] == "running"
    done(lxc(250).status.shutdown.post(timeout=5))
    done(lxc(250).delete())
    done(root.nodes(NODE).storage("local").content(f"local:vztmpl/{TEMPLATE}").delete())


def firewall(root):
    rules = root.cluster.firewall.rules
    for port in ("22", "8006"):
        rules.post(type="in", action="ACCEPT", proto="tcp", dport=port, enable=1)
    assert [rule["dport"] for rule in rules.get()] == ["8006", "22"], "new rules come first"
    rules(0).put(moveto=2)
    assert [rule["dport"] for rule in rules.get()] == ["22", "8006"]
    assert rules(1).get()["pos"] == "1", "the text of the path"
    for _ in range(2):
        rules(0).delete()
    root.cluster.firewall.aliases.post(name="nas", cidr="10.25.150.20")
    root.cluster.firewall.aliases("nas").delete()


main()
