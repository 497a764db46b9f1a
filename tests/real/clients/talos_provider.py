"""The published provider makes a cluster of the lab's machines, and stead takes its state for its own.

    stead lab exec -- python3 tests/real/clients/talos_provider.py STEAD LINE [PROVIDER]

LINE is the folder of the configuration (`talos_provider/0.11`). PROVIDER is the provider's binary; without it terraform finds one in the
mirror that TF_CLI_CONFIG_FILE names. Ends with a traceback at the first thing that is not as it should be.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from machines import destroyed, machines

STEAD, LINE, *PROVIDER = sys.argv[1:]
FOLDER = tempfile.mkdtemp()
TERRAFORM = shutil.which("terraform") or shutil.which("tofu")


def ran(*command):
    """Runs a command, whose output can be followed in `last.out`."""
    path = os.path.join(FOLDER, "last.out")
    with open(path, "w", encoding="utf-8") as output:
        result = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=900, cwd=FOLDER)
    print(f"{result.returncode}   ", " ".join(command)[-150:], flush=True)
    with open(path, encoding="utf-8") as output:
        return result.returncode, output.read()


def ok(*command, has="", code=0):
    """Runs a command, which must end with this code; its output, which must hold this text."""
    found, said = ran(*command)
    assert found == code and has in said, (command, found, said)
    return said


def variables(values):
    return [f"-var={name}={value}" for name, value in values.items()]


def same(values):
    """Both find nothing to do with what the published provider has made; neither changes the state's objects."""
    ok(TERRAFORM, "plan", "-no-color", "-detailed-exitcode", *variables(values), has="No changes")
    ok(STEAD, "plan", "-no-color", "-detailed-exitcode", *variables(values), has="No changes")


def setup():
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "talos_provider", LINE)
    shutil.copytree(source, FOLDER, dirs_exist_ok=True)
    if PROVIDER:
        rc = os.path.join(FOLDER, "terraform.rc")
        with open(rc, "w", encoding="utf-8") as file:
            folder = os.path.dirname(os.path.abspath(PROVIDER[0]))
            file.write(f'provider_installation {{\n  dev_overrides {{\n    "siderolabs/talos" = "{folder}"\n  }}\n  direct {{}}\n}}\n')
        os.environ["TF_CLI_CONFIG_FILE"] = rc
    else:
        ok(TERRAFORM, "init", "-no-color")


def outputs():
    return {name: output["value"] for name, output in json.loads(ok(TERRAFORM, "output", "-json")).items()}


def kubectl(*arguments):
    path = os.path.join(FOLDER, "kubeconfig")
    with open(path, "w", encoding="utf-8") as file:
        file.write(outputs()["kubeconfig"])
    return ok("kubectl", "--kubeconfig", path, *arguments)


def line_0_11():
    ok(TERRAFORM, "apply", "-no-color", "-auto-approve", has="Apply complete")
    same({})
    found = outputs()
    assert found["newest"] and found["overlays"] > 0 and found["disks"] == ["/dev/sda"], found
    assert any("qemu-guest-agent" in name for name in found["extensions"]), found
    assert found["schematic"] in found["urls"]["installer"], found
    assert kubectl("get", "nodes").count(" Ready") == 4
    change = {"sysctl": "20"}
    ok(TERRAFORM, "apply", "-no-color", "-auto-approve", *variables(change), has="4 changed")
    same(change)
    # And the way back: what stead applies, the published provider finds unchanged.
    ok(STEAD, "apply", "-no-color", "-auto-approve", has="Apply complete")
    same({})
    ok(TERRAFORM, "destroy", "-no-color", "-auto-approve", has="Destroy complete")


def line_0_12():
    ok(TERRAFORM, "apply", "-no-color", "-auto-approve", has="Apply complete")
    same({})
    assert kubectl("get", "nodes").count(" Ready") == 4
    # One at a time: the published provider does not look at etcd before it restarts a node.
    change = {"talos": "v1.13.10"}
    ok(TERRAFORM, "apply", "-no-color", "-auto-approve", "-parallelism=1", *variables(change), has="4 changed")
    same(change)
    change["kubernetes"] = "v1.36.4"
    ok(TERRAFORM, "apply", "-no-color", "-auto-approve", *variables(change), has="1 changed")
    same(change)
    assert kubectl("get", "nodes").count("v1.36.4") == 4
    ok(TERRAFORM, "destroy", "-no-color", "-auto-approve", *variables(change), has="Destroy complete")


def main():
    setup()
    machines()
    {"0.11": line_0_11, "0.12": line_0_12}[LINE]()
    destroyed()
    print(f"the {LINE} line is content")


if __name__ == "__main__":
    main()
