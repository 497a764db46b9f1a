#!/usr/bin/env python3
"""Records what the published provider plans for new objects: tests/planned/published.json from tests/planned/cases.json.

    record_plans.py TERRAFORM DIRECTORY

DIRECTORY holds the published provider's binary, terraform-provider-proxmox (`go build` of bpg/terraform-provider-proxmox). Plans of
new objects need no API.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

# Elements of a plain list of objects must be complete in JSON.
CARD = ["bridge", "disconnected", "enabled", "firewall", "mac_address", "model", "mtu", "queues", "rate_limit", "trunks", "vlan_id"]
TESTS = pathlib.Path(__file__).parent.parent / "tests" / "planned"


def planned(terraform, binaries, cases):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for case in (case for named in cases.values() for case in named.values()):
            for card in case.get("network_device", []):
                card.update({name: card.get(name) for name in CARD})
        main = {
            "terraform": {"required_providers": {"proxmox": {"source": "bpg/proxmox"}}},
            "provider": {"proxmox": {"endpoint": "https://127.0.0.1:1/", "api_token": "root@pam!t=x"}},
            "resource": cases,
        }
        (folder / "main.tf.json").write_text(json.dumps(main))
        (folder / "cli.rc").write_text(f'provider_installation {{\n  dev_overrides {{ "bpg/proxmox" = "{binaries}" }}\n  direct {{}}\n}}\n')
        environment = dict(os.environ, TF_CLI_CONFIG_FILE=str(folder / "cli.rc"), CHECKPOINT_DISABLE="1")

        def run(*arguments):
            return subprocess.run([terraform, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

        run("plan", "-input=false", "-out=plan")
        return json.loads(run("show", "-json", "plan"))["resource_changes"]


def main():
    terraform, binaries = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    cases = json.loads((TESTS / "cases.json").read_text())
    recorded = {}
    for change in planned(terraform, binaries, cases):
        plan = {"after": change["change"]["after"], "unknown": change["change"]["after_unknown"]}
        recorded.setdefault(change["type"], {})[change["name"]] = plan
    (TESTS / "published.json").write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


main()
