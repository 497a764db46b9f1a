#!/usr/bin/env python3
"""Writes tests/schema.txt: the published schema of siderolabs/talos, as far as stead does its types.

Usage: tools/schema_table.py < provider-schema.json > tests/schema.txt
The input is the output of `terraform providers schema -json` with siderolabs/talos after 0.12.0-alpha.5. The line 0.12 has
all of 0.11 as it was, and more.

One line per type (kind, name, version) and, indented, one per attribute (path, type or nesting, flags).
"""

import json
import sys

DONE = {
    "resource": [
        "talos_cluster",
        "talos_cluster_kubeconfig",
        "talos_image_factory_schematic",
        "talos_machine",
        "talos_machine_bootstrap",
        "talos_machine_configuration_apply",
        "talos_machine_secrets",
    ],
    "data": [
        "talos_client_configuration",
        "talos_cluster_health",
        "talos_cluster_kubeconfig",
        "talos_image_factory_extensions_versions",
        "talos_image_factory_overlays_versions",
        "talos_image_factory_urls",
        "talos_image_factory_versions",
        "talos_machine_configuration",
        "talos_machine_disks",
    ],
    "ephemeral": [
        "talos_client_configuration",
        "talos_cluster_health",
        "talos_cluster_kubeconfig",
        "talos_machine_configuration",
        "talos_machine_secrets",
    ],
}
FLAGS = ["required", "optional", "computed", "sensitive", "write_only"]


def type_text(ty):
    if isinstance(ty, str):
        return "any" if ty == "dynamic" else ty
    kind, inner = ty
    if kind == "object":
        members = ", ".join(f"{k} = {type_text(v)}" for k, v in sorted(inner.items()))
        return "object({" + members + "})"
    return f"{kind}({type_text(inner)})"


def attributes(of, prefix, out):
    for name, a in sorted(of.get("attributes", {}).items()):
        nested = a.get("nested_type")
        ty = f"nested({nested['nesting_mode']})" if nested else type_text(a["type"])
        flags = " ".join(f for f in FLAGS if a.get(f))
        out.append(f"  {prefix}{name} {ty} {flags}")
        if nested:
            attributes(nested, f"{prefix}{name}.", out)
    assert not of.get("block_types"), "blocks are not written yet"


def main():
    provider = json.load(sys.stdin)["provider_schemas"]["registry.terraform.io/siderolabs/talos"]
    out = [f"provider {provider['provider']['version']}"]
    attributes(provider["provider"]["block"], "", out)
    kinds = {
        "resource": "resource_schemas",
        "data": "data_source_schemas",
        "ephemeral": "ephemeral_resource_schemas",
    }
    for kind, key in kinds.items():
        for name in DONE[kind]:
            schema = provider[key][name]
            out.append(f"{kind} {name} {schema['version']}")
            attributes(schema["block"], "", out)
    print("\n".join(out))


main()
