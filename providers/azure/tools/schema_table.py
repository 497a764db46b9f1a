#!/usr/bin/env python3
"""Writes the schemas of the types that stead-azure has as a compact table, the form that stead_sdk::testing compares with.

    schema_table.py azurerm-5.2.0.wire.json > ../tests/published/azurerm-5.2.txt

The input holds what `terraform providers schema -json` shows for hashicorp/azurerm: `provider_schema`, `resource_schemas`
and `data_source_schemas`.
"""
import json
import sys

RESOURCES = {
    "azurerm_resource_group", "azurerm_key_vault", "azurerm_key_vault_secret", "azurerm_storage_account",
    "azurerm_storage_container", "azurerm_role_assignment",
}
DATA_SOURCES = {
    "azurerm_client_config", "azurerm_storage_account_blob_container_sas", "azurerm_key_vault", "azurerm_key_vault_secret",
}
FLAGS = ("required", "optional", "computed", "sensitive", "write_only", "deprecated")


def type_text(ty):
    if isinstance(ty, str):
        return "any" if ty == "dynamic" else ty
    kind, inner = ty
    if kind == "object":
        return "object({" + ", ".join(f"{k} = {type_text(inner[k])}" for k in sorted(inner)) + "})"
    return f"{kind}({type_text(inner)})"


def block(out, prefix, schema):
    for name, attribute in sorted(schema.get("attributes", {}).items()):
        flags = [flag for flag in FLAGS if attribute.get(flag)]
        out.append(f"  {prefix}{name}: {' '.join([type_text(attribute['type']), *flags])}")
    for name, nested in sorted(schema.get("block_types", {}).items()):
        limits = [f"{limit}={nested[key]}" for limit, key in (("min", "min_items"), ("max", "max_items")) if nested.get(key)]
        deprecated = ["deprecated"] if nested["block"].get("deprecated") else []
        out.append(f"  {prefix}{name}: " + " ".join(["block", nested["nesting_mode"], *limits, *deprecated]))
        block(out, f"{prefix}{name}.", nested["block"])


def section(out, heading, schema):
    out.append(f"{heading} version={schema.get('version', 0)}")
    block(out, "", schema["block"])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schemas = json.load(file)
    out = []
    section(out, "provider", schemas["provider_schema"])
    for kind, key, names in (("resource", "resource_schemas", RESOURCES), ("data", "data_source_schemas", DATA_SOURCES)):
        for name in sorted(names):
            section(out, f"{kind} {name}", schemas[key][name])
    print("\n".join(out))


main()
