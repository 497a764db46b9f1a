#!/usr/bin/env python3
"""Makes types.txt and resources.txt from the published API description of Kubernetes.

Usage: generate.py API MODULE..., where API is the folder `api` of the Go module k8s.io/kubernetes (it holds
openapi-spec/swagger.json and discovery/aggregated_v2.json), and the MODULEs are the folders of the Go modules k8s.io/api,
k8s.io/apimachinery, k8s.io/apiextensions-apiserver and k8s.io/kube-aggregator (they hold the generated.proto files).

types.txt, one type a block:
    :NAME [atomic]                    an object type; `atomic`: server-side apply owns it as a whole
    FIELD[!][#N] TYPE [list=atomic|set|map:KEY,KEY] [map=atomic] [patch=STRATEGY[:KEY]]
    +#N TYPE        a message whose fields are this type's own in JSON
`!` marks a required field, N is its number in protobuf. TYPE is str, int, long, num, bool, bytes, time, micro, qty, ios (integer or string), any, obj
(any object), [T] (list), {T} (map) or the NAME of a block.

resources.txt, one resource a line, fields parted by `|`:
    group|version|plural|singular|Kind|Namespaced or Cluster|type|short names|categories|subresources
"""
import glob
import json
import re
import sys

SCALARS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "qty",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "ios",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "obj",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "obj",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "any",
}
# A description of another API's schema is opaque here: the checks of CustomResourceDefinitions read it themselves.
OPAQUE = {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps": "obj"}


def short(name):
    for prefix in ("io.k8s.apimachinery.pkg.apis.", "io.k8s.apiextensions-apiserver.pkg.apis.",
                   "io.k8s.kube-aggregator.pkg.apis.", "io.k8s.api."):
        if name.startswith(prefix):
            return name[len(prefix):]
    return name


# Bodies of requests that are no kept objects.
BODIES = [
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "io.k8s.api.autoscaling.v1.Scale", "io.k8s.api.policy.v1.Eviction",
    "io.k8s.api.authentication.v1.TokenRequest", "io.k8s.api.authentication.v1.TokenReview",
    "io.k8s.api.authentication.v1.SelfSubjectReview", "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    "io.k8s.api.authorization.v1.SubjectAccessReview", "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
]


def messages(folders):
    """Field numbers: {short type name: {field in lower case: (number, type)}}."""
    out = {}
    for path in (p for f in folders for p in glob.glob(f + "/**/generated.proto", recursive=True)):
        package, current = "", None
        for line in open(path):
            if m := re.match(r"package (.*);", line):
                package = m[1]
            elif m := re.match(r"message (\w+) \{", line):
                current = out.setdefault(proto_name("." + package + "." + m[1], package), {})
            elif m := re.match(r"  (?:optional |repeated )?(map<.*>|[\w.]+) (\w+) = (\d+);", line):
                current[m[2].lower()] = (int(m[3]), proto_name(m[1], package))
    return out


def proto_name(name, package):
    if not name.startswith("."):
        name = "." + package + "." + name
    for prefix in (".k8s.io.apimachinery.pkg.apis.", ".k8s.io.apiextensions_apiserver.pkg.apis.",
                   ".k8s.io.kube_aggregator.pkg.apis.", ".k8s.io.api."):
        if name.startswith(prefix):
            return name[len(prefix):]
    return name


class Types:
    def __init__(self, definitions, numbers):
        self.definitions, self.wanted, self.done, self.numbers, self.inlined = definitions, [], set(), numbers, {}

    def want(self, name):
        if name not in self.done:
            self.done.add(name)
            self.wanted.append(name)
        return short(name)

    def type_of(self, node):
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[1]
            return SCALARS.get(name) or OPAQUE.get(name) or self.want(name)
        kind, form = node.get("type"), node.get("format")
        if kind == "array":
            return "[" + self.type_of(node["items"]) + "]"
        if kind == "object":
            if "additionalProperties" in node:
                return "{" + self.type_of(node["additionalProperties"]) + "}"
            return "obj"
        if kind == "integer":
            return "long" if form == "int64" else "int"
        return {("string", "byte"): "bytes", ("string", None): "str", ("boolean", None): "bool",
                ("number", "double"): "num", (None, None): "any"}[(kind, form)]

    def marks(self, node):
        out = []
        if "x-kubernetes-list-type" in node:
            keys = node.get("x-kubernetes-list-map-keys", [])
            out.append("list=" + node["x-kubernetes-list-type"] + (":" + ",".join(keys) if keys else ""))
        if node.get("x-kubernetes-map-type") == "atomic":
            out.append("map=atomic")
        if "x-kubernetes-patch-strategy" in node:
            key = node.get("x-kubernetes-patch-merge-key")
            out.append("patch=" + node["x-kubernetes-patch-strategy"] + (":" + key if key else ""))
        return out

    def block(self, name):
        definition = self.definitions[name]
        atomic = " atomic" if definition.get("x-kubernetes-map-type") == "atomic" else ""
        lines = [":" + short(name) + atomic]
        required = set(definition.get("required", []))
        properties = definition.get("properties", {})
        numbers = self.numbers.get(short(name), {})
        for field, node in sorted(properties.items()):
            mark = "!" if field in required else ""
            number = "#%d" % numbers[field.lower()][0] if field.lower() in numbers else ""
            lines.append(" ".join([field + mark + number, self.type_of(node)] + self.marks(node)))
        lines += self.inline(numbers, properties)
        return lines

    def inline(self, numbers, properties):
        """Messages that JSON does not show as fields. Their own fields have the types of the outer type's."""
        lines = []
        written = {p.lower(): p for p in properties}
        for field, (number, kind) in sorted(numbers.items(), key=lambda i: i[1]):
            if field in written or kind not in self.numbers:
                continue
            lines.append("+#%d %s" % (number, kind))
            if not any(short(d) == kind for d in self.definitions):
                inner = self.numbers[kind]
                block = [":" + kind]
                for own, (n, _) in sorted(inner.items()):
                    if own in written:
                        block.append("%s#%d %s" % (written[own], n, self.type_of(properties[written[own]])))
                self.inlined[kind] = block + self.inline(inner, properties)
            else:
                self.want(next(d for d in self.definitions if short(d) == kind))
        return lines


def main(folder, modules):
    definitions = json.load(open(folder + "/openapi-spec/swagger.json"))["definitions"]
    kinds = {}
    for name, definition in definitions.items():
        for gvk in definition.get("x-kubernetes-group-version-kind", []):
            kinds.setdefault((gvk["group"], gvk["version"], gvk["kind"]), name)
    types, rows = Types(definitions, messages(modules)), []
    core = json.load(open(folder + "/discovery/api__v1.json"))
    plain = [r for r in core["resources"] if "/" not in r["name"]]
    subs = lambda p: sorted(r["name"].split("/", 1)[1] for r in core["resources"] if r["name"].startswith(p + "/"))
    for r in plain:
        if "list" in r["verbs"]:
            rows.append(("", "v1", r["name"], r["singularName"], r["kind"], r["namespaced"], r.get("shortNames", []),
                         r.get("categories", []), subs(r["name"])))
    for group in json.load(open(folder + "/discovery/aggregated_v2.json"))["items"]:
        for version in group["versions"]:
            if not re.fullmatch(r"v\d+", version["version"]):
                continue
            for r in version["resources"]:
                if "list" not in r["verbs"]:
                    continue
                rows.append((group["metadata"]["name"], version["version"], r["resource"], r["singularResource"],
                             r["responseKind"]["kind"], r["scope"] == "Namespaced", r.get("shortNames", []),
                             r.get("categories", []), sorted(s["subresource"] for s in r.get("subresources", []))))
    with open("resources.txt", "w") as out:
        out.write("# Made by generate.py; do not edit.\n")
        for group, version, plural, singular, kind, namespaced, names, categories, subresources in rows:
            type_name = types.want(kinds[(group, version, kind)])
            out.write("|".join([group, version, plural, singular, kind, "Namespaced" if namespaced else "Cluster", type_name,
                                ",".join(names), ",".join(categories), ",".join(subresources)]) + "\n")
    for body in BODIES:
        types.want(body)
    blocks = []
    while types.wanted:
        blocks.append(types.block(types.wanted.pop()))
    known = {b[0].split(" ")[0] for b in blocks}
    blocks += [b for b in types.inlined.values() if b[0] not in known]
    with open("types.txt", "w") as out:
        out.write("# Made by generate.py; do not edit.\n")
        for block in sorted(blocks):
            out.write("\n".join(block) + "\n")


main(sys.argv[1], sys.argv[2:])
