#!/usr/bin/env python3
"""Makes tables/vX.Y.txt: which keys and types the machine configuration of a Talos line knows.

Usage: config_tables.py OUT_DIR TYPES_1_13 TYPES_1_14 SCHEMA_1_13 1.11=SCHEMA 1.12=SCHEMA

TYPES_*: facts of the Go types (documents, fields, Go types), as JSON. SCHEMA_*: the published JSON schema of that line.
Older lines have no types file: they are the 1.13 types without what the 1.13 schema has and theirs lacks
(a schema leaves deprecated fields out, so absence in both says nothing).

Format, one entry a line:
  doc KIND TYPE            a document kind and its type
  type NAME                a struct; its fields follow, indented: `YAML_KEY GO_TYPE`
  alias NAME SHAPE         a named non-struct: its underlying shape
"""
import json
import sys

ADDED_BY_HAND_1_13 = {"ImageVerificationConfig"}  # in no schema; came with 1.13


def shape(name, t):
    """What a named non-struct type decodes as."""
    if t["kind"] == "slice":
        return "[]" + t["elem"]
    if t["kind"] == "map":
        return f"map[{t.get('key', 'string')}]{t['elem']}"
    return "scalar"


def lines(documents, types):
    out = [f"doc {kind} {documents[kind]}" for kind in sorted(documents)]
    wanted, queue = {}, list(documents.values())
    while queue:
        name = queue.pop()
        base = name.lstrip("*")
        while True:
            if base.startswith("[]"):
                base = base[2:].lstrip("*")
            elif base.startswith("map["):
                base = base.split("]", 1)[1].lstrip("*")
            else:
                break
        if base in wanted or base not in types:
            continue
        t = types[base]
        wanted[base] = t
        queue += [f["type"] for f in t.get("fields", [])]
        if t.get("elem"):
            queue.append(t["elem"])
    for name in sorted(wanted):
        t = wanted[name]
        if t["kind"] != "struct":
            out.append(f"alias {name} {shape(name, t)}")
            continue
        custom = any(c.startswith("Unmarshal") for c in t.get("custom_yaml", []))
        if custom and not name.startswith("x509."):
            out.append(f"alias {name} scalar")
            continue
        if name == "meta.Unstructured" or name.endswith(".Unstructured"):
            out.append(f"alias {name} any")
            continue
        out.append(f"type {name}")
        for f in t.get("fields", []):
            if f.get("inline"):
                out.append(f"  + {f['type']}")
            elif f["yaml"] not in ("", "-"):
                out.append(f"  {f['yaml']} {f['type']}")
    return out


def older(types, new_schema, old_schema):
    documents, all_types = dict(types["documents"]), json.loads(json.dumps(types["types"]))
    new, old = new_schema["$defs"], old_schema["$defs"]
    for kind, name in types["documents"].items():
        if (name in new and name not in old) or kind in ADDED_BY_HAND_1_13:
            del documents[kind]
    for name, t in all_types.items():
        if name not in new or name not in old:
            continue
        came = set(new[name].get("properties", {})) - set(old[name].get("properties", {}))
        gone = set(old[name].get("properties", {})) - set(new[name].get("properties", {}))
        t["fields"] = [f for f in t.get("fields", []) if f.get("yaml") not in came]
        kinds = {"boolean": "*bool", "string": "string", "integer": "int"}
        for key in sorted(gone - {f["yaml"] for f in t["fields"]}):
            t["fields"].append({"yaml": key, "type": kinds.get(old[name]["properties"][key].get("type"), "any")})
    return documents, all_types


def main():
    out, t13, t14, s13 = sys.argv[1:5]
    load = lambda path: json.load(open(path))
    types13, types14, schema13 = load(t13), load(t14), load(s13)
    tables = {"1.13": (types13["documents"], types13["types"]), "1.14": (types14["documents"], types14["types"])}
    for argument in sys.argv[5:]:
        line, path = argument.split("=")
        tables[line] = older(types13, schema13, load(path))
    for line, (documents, types) in tables.items():
        with open(f"{out}/v{line}.txt", "w") as f:
            f.write("\n".join(lines(documents, types)) + "\n")


main()
