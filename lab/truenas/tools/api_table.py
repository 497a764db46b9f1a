#!/usr/bin/env python3
"""Makes tables/api.json from a dump of the middleware's published JSON Schemas.

Usage: api_table.py API.json > tables/api.json

Keeps of every public method: parameters, whether it is a job, its lock, roles, and who may call it. Types are arrays:
  "any" "null" "bool" "num"            as they say
  ["int", min, max]                    bounds inclusive, null for none
  ["str", min, max, pattern]           lengths in characters
  ["enum", [...]]                      exactly these values
  ["list", type, min, max]  ["map"]    any members
  ["or", [type, ...]]                  the first that fits
  ["tag", member, {value: type}]       chosen by a member's value
  ["obj", name, {key: [required, type, default?]}, open]
  ["ref", name]
"""
import json
import sys

src = json.load(open(sys.argv[1]))
used = {}


def const(v):
    return ["enum", [v]]


def convert(s):
    if "$ref" in s:
        name = s["$ref"].rsplit("/", 1)[1]
        if name not in used:
            used[name] = None
            used[name] = convert_named(name, src["$defs"][name])
        return ["ref", name]
    if "discriminator" in s:
        d = s["discriminator"]
        return ["tag", d["propertyName"], {k: convert({"$ref": v}) for k, v in d["mapping"].items()}]
    for word in ("anyOf", "oneOf"):
        if word in s:
            return ["or", [convert(x) for x in s[word]]]
    if "const" in s:
        return const(s["const"])
    if "enum" in s:
        return ["enum", s["enum"]]
    t = s.get("type")
    if t is None:
        return "any"
    if t == "null":
        return "null"
    if t == "boolean":
        return "bool"
    if t == "number":
        return "num"
    if t == "integer":
        low, high = s.get("minimum"), s.get("maximum")
        if "exclusiveMinimum" in s:
            low = s["exclusiveMinimum"] + 1
        if "exclusiveMaximum" in s:
            high = s["exclusiveMaximum"] - 1
        return ["int", low, high]
    if t == "string":
        return ["str", s.get("minLength"), s.get("maxLength"), s.get("pattern")]
    if t == "array":
        return ["list", convert(s.get("items", {})), s.get("minItems"), s.get("maxItems")]
    if t == "object":
        return convert_named("", s)
    raise SystemExit(f"unknown type {t!r}: {json.dumps(s)[:200]}")


def convert_named(name, s):
    if s.get("type") != "object":
        return convert(s)
    if "properties" not in s:
        return ["map"]
    keys = {}
    for key, value in s["properties"].items():
        entry = [1 if key in s.get("required", []) else 0, convert(value)]
        if "default" in value:
            entry.append(value["default"])
        keys[key] = entry
    return ["obj", name, keys, s.get("additionalProperties") is not False]


methods = {}
for name, m in sorted(src["methods"].items()):
    entry = {"params": []}
    for p in m["params"]:
        param = [p["name"], 1 if p["required"] else 0, convert(p["schema"])]
        if "default" in p["schema"]:
            param.append(p["schema"]["default"])
        entry["params"].append(param)
    for flag in ("job", "job_lock", "roles", "authentication_required", "authorization_required", "rate_limit"):
        if flag in m:
            entry[flag] = m[flag]
    methods[name] = entry

out = {"api_version": src["api_version"], "release": src["release"], "methods": methods, "types": dict(sorted(used.items()))}
print("{")
for i, (key, value) in enumerate(out.items()):
    end = "," if i < len(out) - 1 else ""
    if isinstance(value, dict):
        print(f" {json.dumps(key)}: {{")
        lines = [f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in value.items()]
        print(",\n".join(lines))
        print(" }" + end)
    else:
        print(f" {json.dumps(key)}: {json.dumps(value)}{end}")
print("}")
