#!/usr/bin/env python3
"""Writes the schemas of one provider as a compact table, the form that stead_sdk::testing compares with.

    terraform providers schema -json | schema_table.py SOURCE [NAME ...] > tables/PROVIDER.txt

SOURCE is a provider's address, or the end of one (`hashicorp/random`). NAMEs limit the resources and data sources.
"""
import json
import sys


def type_text(ty):
    if isinstance(ty, str):
        return "any" if ty == "dynamic" else ty
    kind, inner = ty[0], ty[1]
    if kind in ("list", "set", "map"):
        return f"{kind}({type_text(inner)})"
    if kind == "tuple":
        return "tuple([" + ", ".join(type_text(t) for t in inner) + "])"
    return "object({" + ", ".join(f"{k} = {type_text(inner[k])}" for k in sorted(inner)) + "})"


def attributes(out, prefix, block):
    for name, attribute in sorted(block.get("attributes", {}).items()):
        nested = attribute.get("nested_type")
        text = f"nested {nested['nesting_mode']}" if nested else type_text(attribute["type"])
        flags = [f for f in ("required", "optional", "computed", "sensitive", "write_only", "deprecated") if attribute.get(f)]
        out.append(f"  {prefix}{name}: {' '.join([text, *flags])}")
        if nested:
            attributes(out, f"{prefix}{name}.", nested)


def block(out, prefix, schema):
    attributes(out, prefix, schema)
    for name, nested in sorted(schema.get("block_types", {}).items()):
        text = f"block {nested['nesting_mode']}"
        text += f" min={nested['min_items']}" if nested.get("min_items") else ""
        text += f" max={nested['max_items']}" if nested.get("max_items") else ""
        text += " deprecated" if nested["block"].get("deprecated") else ""
        out.append(f"  {prefix}{name}: {text}")
        block(out, f"{prefix}{name}.", nested["block"])


def section(out, heading, schema):
    out.append(f"{heading} version={schema.get('version', 0)}")
    block(out, "", schema.get("block", {}))


def main():
    source, names = sys.argv[1], set(sys.argv[2:])
    schemas = json.load(sys.stdin)["provider_schemas"]
    found = [v for k, v in schemas.items() if k == source or k.endswith("/" + source)]
    if len(found) != 1:
        sys.exit(f"{source}: found {len(found)} providers among {sorted(schemas)}")
    out = []
    section(out, "provider", found[0].get("provider", {}))
    for kind, key in (("resource", "resource_schemas"), ("data", "data_source_schemas")):
        for name, schema in sorted(found[0].get(key, {}).items()):
            if not names or name in names:
                section(out, f"{kind} {name}", schema)
    print("\n".join(out))


main()
