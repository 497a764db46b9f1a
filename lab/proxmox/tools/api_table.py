#!/usr/bin/env python3
"""Writes tables/api-VERSION.json: what Proxmox VE's published API schema says of parameters and privileges, in a compact form.

    python3 tools/api_table.py PVE_API_FACTS.json > tables/api-9.2.json

Input: the vendor's API schema keyed by path, without prose: {"pve_version", "paths": {PATH: {VERB: {"parameters",
"permissions", "allowtoken"}}}}. Output, one item a line so that differences can be read:

    {"version": "9.2", "specs": [SPEC…], "methods": [[VERB, PATH, {PARAMETER: SPEC-INDEX}, PERMISSIONS|null, FLAGS]…]}

FLAGS: t callable with an API token, + takes parameters beyond the named ones, :KEY answers the names below it, each
under this key. A SPEC holds only what is set: t type (s i n b a), o optional, e values, p pattern, f format (name, or a property
string's keys), m/M bounds, l/L length bounds, d default, r requires, a alias, k key alias, D default key, i items, x how
many indices a numbered parameter has.
"""
import json
import re
import sys

TYPES = {"string": "s", "integer": "i", "number": "n", "boolean": "b", "array": "a", "object": "o", None: "s"}

# How many of each numbered parameter there may be (pve-docs: qm.conf, pct.conf, pvecm).
COUNTS = {
    "net": 32, "ide": 4, "scsi": 31, "virtio": 16, "sata": 6, "unused": 256, "hostpci": 16, "usb": 14, "serial": 4,
    "parallel": 3, "numa": 8, "ipconfig": 32, "virtiofs": 10, "link": 8, "mp": 256, "dev": 256, "acmedomain": 6,
}

# Property strings of which the schema gives only the type text, where that text alone does not say enough.
KNOWN = {
    "pve-startup-order": {"order": {"t": "i", "o": 1, "D": 1, "m": 0}, "up": {"t": "i", "o": 1, "m": 0},
                          "down": {"t": "i", "o": 1, "m": 0}},
    "pve-qm-ipconfig": {"ip": {"t": "s", "o": 1, "f": "pve-ipv4-config"}, "gw": {"t": "s", "o": 1, "f": "ipv4", "r": "ip"},
                        "ip6": {"t": "s", "o": 1, "f": "pve-ipv6-config"}, "gw6": {"t": "s", "o": 1, "f": "ipv6", "r": "ip6"}},
    "pve-qm-boot": {"legacy": {"t": "s", "o": 1, "D": 1, "p": "[acdn]{1,4}"}, "order": {"t": "s", "o": 1}},
    "pve-qm-hostpci": {"mapping": {"t": "s", "o": 1, "f": "pve-configid"}},
    "pve-qm-smbios1": {"uuid": {"t": "s", "o": 1, "p": "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}"}},
    "pve-qm-cicustom": {k: {"t": "s", "o": 1, "f": "pve-volume-id"} for k in ("meta", "network", "user", "vendor")},
}

# `[[key=]<type>]`, `[key=]<type>`, `[,key=<type>]`, `,key=<type>`: a closed bracket after `=` marks the default key.
PART = re.compile(r"(?P<open>\[{0,2}),?(?P<key>[a-z0-9_-]+)=(?P<bare>\]?)<(?P<type>[^<>]*)>", re.I)


def pattern(perl):
    """A Perl pattern as the regex crate writes it; words and digits are ASCII (and may nest in a class)."""
    return (perl.replace("(?^:", "(?:").replace("(?^i:", "(?i:").replace("(?^u:", "(?:")
            .replace("\\0", "\\x00").replace("{,", "{0,").replace("\\w", "[0-9A-Za-z_]").replace("\\d", "[0-9]"))


def from_text(text):
    """The keys of a property string, from `[[host=]<ID>] [,driver=<vfio|keep>] ,attestation=<1|0>`."""
    keys = {}
    for part in PART.finditer(text):
        kind = part["type"]
        key = {"t": "s"}
        if len(part["open"]) > len(part["bare"]):
            key["o"] = 1
        if part["bare"]:
            key["D"] = 1
        if kind == "1|0":
            key["t"] = "b"
        elif kind.startswith("integer") or kind.startswith("number"):
            key["t"] = kind[0]
            bounds = re.search(r"\((\d+) - (\d+|N)\)", kind)
            if bounds:
                key["m"] = int(bounds[1])
                if bounds[2] != "N":
                    key["M"] = int(bounds[2])
        elif "|" in kind and all(re.fullmatch(r"[\w/.-]*[A-Za-z][\w/.-]*", v) for v in kind.split("|")):
            key["e"] = kind.split("|")
        keys[part["key"]] = key
    return keys


def named(name, text):
    if name in KNOWN:
        return {**from_text(text), **KNOWN[name]}
    if name.endswith("-list") or "=" not in text:
        return name
    return from_text(text) or name


def bound(value):
    number = float(value)
    return int(number) if number == int(number) else number


def spec(name, info):
    out = {"t": TYPES[info.get("type")]}
    if info.get("optional"):
        out["o"] = 1
    if info.get("enum"):
        out["e"] = info["enum"]
    if "pattern" in info:
        out["p"] = pattern(info["pattern"])
    form = info.get("format")
    if isinstance(form, dict):
        out["f"] = {key: spec(key, value) for key, value in form.items()}
    elif form:
        out["f"] = named(form, info.get("typetext", ""))
    for source, target in (("minimum", "m"), ("maximum", "M"), ("minLength", "l"), ("maxLength", "L")):
        if info.get(source) is not None:
            out[target] = bound(info[source])
    for source, target in (("requires", "r"), ("alias", "a"), ("keyAlias", "k")):
        if info.get(source):
            out[target] = info[source]
    if info.get("default_key"):
        out["D"] = 1
    if "items" in info:
        out["i"] = spec(name, info["items"])
    if "oneOf" in info:
        # Which alternative holds depends on another parameter's value; the first one's shape is the others', too.
        out["t"] = TYPES[info["oneOf"][0].get("type")]
        if all(alternative.get("optional") for alternative in info["oneOf"]):
            out["o"] = 1
    if name.endswith("[n]"):
        out["x"] = COUNTS[name[:-3]]
    return out


def index_key(path, info, paths):
    """Under which key a method names what is below it, when that is the same always."""
    below = {other[len(path) + 1:].split("/")[0] for other in paths if other.startswith(path + "/")}
    links = (info.get("returns") or {}).get("links") or [{}]
    key = re.fullmatch(r"\{([a-z]+)\}", links[0].get("href", ""))
    return ":" + key[1] if key and below and not any(name.startswith("{") for name in below) else ""


def main():
    facts = json.load(open(sys.argv[1]))
    specs, index, methods = [], {}, []
    for path in sorted(facts["paths"]):
        for verb in sorted(facts["paths"][path]):
            info = facts["paths"][path][verb]
            parameters = {}
            for name, parameter in sorted((info["parameters"].get("properties") or {}).items()):
                line = json.dumps(spec(name, parameter), sort_keys=True, separators=(",", ":"))
                if line not in index:
                    index[line] = len(specs)
                    specs.append(line)
                parameters[name] = index[line]
            flags = "t" if info.get("allowtoken") else ""
            flags += "" if info["parameters"].get("additionalProperties") == 0 else "+"
            if verb == "GET":
                flags += index_key(path, info, facts["paths"])
            methods.append(json.dumps([verb, path, parameters, info.get("permissions"), flags], separators=(",", ":")))
    version = facts["pve_version"]
    print('{"version":%s,"specs":[' % json.dumps(version))
    print(",\n".join(specs))
    print('],"methods":[')
    print(",\n".join(methods))
    print("]}")


main()
