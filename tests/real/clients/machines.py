"""Four machines in the lab that wait in maintenance mode, for clients that know nothing of Proxmox VE."""

import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

VERSION = "v1.13.9"
SCHEMATIC = "customization: {systemExtensions: {officialExtensions: [siderolabs/qemu-guest-agent]}}"
PLANES = ["10.25.150.11", "10.25.150.12", "10.25.150.13"]
WORKER = "10.25.150.21"
NODES = PLANES + [WORKER]


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


def destroyed():
    """Takes the machines away."""
    for number, _ in enumerate(NODES):
        pve("POST", f"/nodes/abel/qemu/{800 + number}/status/stop", {})
        pve("DELETE", f"/nodes/abel/qemu/{800 + number}")


def machines():
    """Makes the machines."""
    schematic = http("https://factory.talos.dev/schematics", SCHEMATIC)["id"]
    image = f"https://factory.talos.dev/image/{schematic}/{VERSION}/nocloud-amd64.qcow2"
    pve("POST", "/nodes/abel/storage/local/download-url", {"content": "import", "filename": "talos.qcow2", "url": image})
    for number, address in enumerate(NODES):
        pve("POST", "/nodes/abel/qemu", {
            "vmid": 800 + number, "name": f"node-{number}", "memory": 4096, "cores": 2, "agent": 1, "net0": "virtio,bridge=vmbr0",
            "scsi0": "local-lvm:0,import-from=local:import/talos.qcow2", "ipconfig0": f"ip={address}/24,gw=10.25.150.1",
            "ide2": "local-lvm:cloudinit",
        })
        # Talos wants six gigabytes.
        pve("PUT", f"/nodes/abel/qemu/{800 + number}/resize", {"disk": "scsi0", "size": "10G"})
        pve("POST", f"/nodes/abel/qemu/{800 + number}/status/start", {})
