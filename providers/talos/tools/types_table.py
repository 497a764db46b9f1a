#!/usr/bin/env python3
"""Writes tables/types.txt: the machine configuration types in stead's compact form.

Usage: types_table.py <types-v1.13.json> <types-v1.14.json> > tables/types.txt

The input describes, for each document kind of Talos, the fields in emission order with their
YAML names, Go types, omitempty and merge attributes. The output holds one release (the newest)
with `@1.14` on what the older one does not know; the older release must be a subset.

Lines of the output:
  doc KIND TYPE [@1.14]
  struct TYPE [@1.14] [fill] [zero=a,b]
   NAME TYPE [?] [=] [~RULE] [@1.14]      ? omitempty, = replace on merge, ~RULE keyed list merge
  enum TYPE FIRST OTHER[@1.14]...        FIRST is the zero value's text, `-` when it has none
Types: `*T` pointer, `[T` list, `{T` map from string, else a scalar, enum or struct name.
"""
import json
import re
import sys

RENAMED = {
    "v1alpha1.Unstructured": "meta.Unstructured",
    "v1alpha1.Args": "meta.Args",
    "v1alpha1.ArgValue": "meta.ArgValue",
    "network.Addr": "meta.Addr",
    "network.AddrPort": "meta.AddrPort",
    "network.Prefix": "meta.Prefix",
}
# Types whose YAML form is a scalar (or free-form) with a meaning of its own.
SCALARS = {
    "meta.Unstructured": "any", "meta.Args": "args", "meta.URL": "url", "v1alpha1.Endpoint": "url",
    "meta.Addr": "addr", "netip.Addr": "addr", "meta.Prefix": "prefix", "netip.Prefix": "prefix",
    "meta.AddrPort": "addrport", "netip.AddrPort": "addrport", "cel.Expression": "cel",
    "block.ByteSize": "bytesize", "block.PercentageSize": "percent", "block.Size": "size",
    "nethelpers.HardwareAddr": "mac", "network.PortRange": "portrange", "time.Duration": "duration",
    "v1alpha1.Base64Bytes": "base64", "v1alpha1.DiskSize": "disksize", "v1alpha1.FileMode": "filemode",
    "runtime.EtcFileMode": "filemode", "v1alpha1.InstallDiskSizeMatcher": "sizematch",
    "v1alpha1.InstallDiskType": "string", "config.ContainerNetworkMode": "string",
    "config.ContainerSecurityProfile": "string", "[]uint8": "base64",
}
# Named list types: (element type, merge rule).
LISTS = {
    "v1alpha1.NetworkDeviceList": "~devices", "v1alpha1.VlanList": "~vlanId",
    "v1alpha1.AdmissionPluginConfigList": "~name", "extensions.ConfigFileList": "~mountPath",
    "security.ImageVerificationRules": "~image!", "network.IngressConfig": "",
    "network.PortRanges": "", "v1alpha1.AuthorizationConfigAuthorizerConfigList": "",
    "v1alpha1.ClusterInlineManifests": "",
}
# Texts of the enumerations, the zero value first (`-`: no text stands for zero).
ENUMS = {
    "nethelpers.ADLACPActive": "off on", "nethelpers.ADSelect": "stable bandwidth count",
    "nethelpers.ARPAllTargets": "any all",
    "nethelpers.ARPValidate": "none active backup all filter filter-active filter-backup",
    "nethelpers.AutoHostnameKind": "off talos-addr stable",
    "nethelpers.BondMode": "balance-rr active-backup balance-xor broadcast 802.3ad balance-tlb balance-alb",
    "nethelpers.BondXmitHashPolicy": "layer2 layer3+4 layer2+3 encap2+3 encap3+4",
    "nethelpers.ClientIdentifier": "none mac duid", "nethelpers.DNSProtocol": "Do53 DoT DoH",
    "nethelpers.DefaultAction": "accept block", "nethelpers.FailOverMAC": "none active follow",
    "nethelpers.LACPRate": "slow fast", "nethelpers.PrimaryReselect": "always better failure",
    "nethelpers.Protocol": "- icmp tcp udp icmpv6",
    "nethelpers.RoutingRuleAction": "unspec unicast blackhole unreachable prohibit",
    "nethelpers.RoutingTable": "unspec " + " ".join(str(i) for i in range(1, 253)) + " default main local",
    "nethelpers.VLANProtocol": "- 802.1q 802.1ad",
    "nethelpers.WOLMode": "- phy unicast multicast broadcast magic magicsecure filter",
    "block.EncryptionProviderType": "none luks2",
    "block.FilesystemType": "none xfs vfat ext4 iso9660 swapi virtiofs btrfs@1.14",
    "block.VolumeType": "partition disk tmpfs directory symlink overlay external",
    "storage.LVMLogicalVolumeType": "linear raid1 raid0 raid10", "storage.MDLevel": "raid1",
    "storage.MDMetadata": "1.0 1.2",
}
# Structs with a zero test over some of their fields only.
ZERO = {"block.EncryptionSpec": "provider,keys"}
# Zero tests that amount to "all fields are zero", checked by hand in the sources.
PLAIN_ZERO = {
    "block.FilesystemSpec", "block.ProvisioningSpec", "block.UserMountSpec", "block.SystemVolumeFilesystemSpec",
    "runtime.DiskSelectorSpec", "runtime.ProvisioningSpec", "storage.LVMVolumeSelectorSpec",
    "storage.ProvisioningSpec", "storage.RAIDVolumeSelector",
}
# PEM holders decode an absent field as an empty, not as an absent one.
FILL = {"x509.PEMEncodedCertificate", "x509.PEMEncodedCertificateAndKey", "x509.PEMEncodedKey"}
BASIC = {"bool", "int", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "string"}


def convert(go, types):
    """Turns a Go type into (compact type, merge flags)."""
    go = RENAMED.get(go, go)
    if go in SCALARS:
        return SCALARS[go], ""
    if go.startswith("*"):
        inner, flags = convert(go[1:], types)
        return "*" + inner, flags
    if go.startswith("[]"):
        return "[" + convert(go[2:], types)[0], ""
    if go.startswith("map[string]"):
        return "{" + convert(go[len("map[string]"):], types)[0], ""
    if go in BASIC:
        return go, ""
    if go in LISTS:
        return "[" + convert(types[go]["elem"], types)[0], LISTS[go]
    if go in ENUMS:
        return go, ""
    spec = types[go]
    if spec["kind"] != "struct":
        sys.exit(f"no rule for type {go}: {spec}")
    custom = set(spec.get("custom_yaml", [])) - ({"IsZero"} if go in ZERO or go in PLAIN_ZERO else set())
    if (custom or spec.get("custom_merge")) and go not in FILL:
        sys.exit(f"no rule for the custom code of {go}: {spec}")
    return go, ""


def fields(name, types):
    out = []
    for field in types[name].get("fields") or []:
        if field.get("inline"):
            out += fields(RENAMED.get(field["type"], field["type"]), types)
            continue
        ty, rule = convert(field["type"], types)
        if name == "v1alpha1.ClusterInlineManifest" and field["yaml"] == "contents":
            ty = "trimmed"
        flags = (["?"] if field.get("omitempty") else []) + (["="] if field.get("merge") == "replace" else [])
        out.append((field["yaml"], ty, tuple(flags + ([rule] if rule else []))))
    return out


def load(path):
    data = json.load(open(path))
    types = data["types"]
    for old, new in RENAMED.items():
        if old in types and new not in types:
            types[new] = types[old]
    reached, queue = {}, list(data["documents"].values())
    while queue:
        name = queue.pop(0)
        if name in reached:
            continue
        reached[name] = fields(name, types)
        for _, ty, _ in reached[name]:
            base = re.sub(r"^[*\[{]+", "", ty)
            if base in types and base not in ENUMS:
                queue.append(base)
    return data["origin"], data["documents"], reached


def main():
    old_origin, old_docs, old = load(sys.argv[1])
    origin, docs, new = load(sys.argv[2])
    print("# Machine configuration types; written by tools/types_table.py, do not edit.")
    print(f"# Facts from {origin.split(':')[0]}")
    print(f"# and {old_origin.split(':')[0]}.")
    gone = set(old_docs) - set(docs)
    if gone:
        sys.exit(f"documents gone: {gone}")
    for kind in sorted(docs):
        print("doc", kind, docs[kind], *([] if kind in old_docs else ["@1.14"]))
    for name in sorted(new):
        marks = [] if name in old else ["@1.14"]
        marks += ["fill"] if name in FILL else []
        marks += [f"zero={ZERO[name]}"] if name in ZERO else []
        print("struct", name, *marks)
        before = {f[0]: f for f in old.get(name, [])}
        order = [f[0] for f in new[name] if f[0] in before]
        if name in old and order != list(before):
            sys.exit(f"field order of {name} changed: {list(before)} -> {order}")
        for field in new[name]:
            known = name not in old or field[0] in before
            if name in old and known and before[field[0]] != field:
                # The newer release relaxed something: note it, so that a reader sees why bytes differ.
                print(f"differs: {name} {before[field[0]]} -> {field}", file=sys.stderr)
            print("", field[0], field[1], *field[2], *([] if known else ["@1.14"]))
    for name in sorted(ENUMS):
        print("enum", name, ENUMS[name])


main()
