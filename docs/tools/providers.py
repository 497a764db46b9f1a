#!/usr/bin/env python3
"""Writes docs/src/providers/NAME.md from the structs that are the schemas.

A resource's struct is its only source: fields, flags (`#[attr(...)]`) and doc comments. This script reads them as text, so that
no build is needed. Prose that belongs to a provider stands in docs/tools/intro/NAME.md and comes first on its page.
Run it from anywhere; it takes no arguments. `--check` writes nothing and fails when a page is out of date.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs/src/providers"
INTRO = ROOT / "docs/tools/intro"
NAMES = ["proxmox", "talos", "truenas", "azure", "microk8s", "kubernetes", "gitops", "utility"]

STRUCT = re.compile(
    r"(?P<head>(?:^[ \t]*(?:///[^\n]*|#\[(?:[^\[\]]|\[[^\]]*\])*\])\n)*)"
    r"^[ \t]*(?:pub(?:\([^)]*\))? )?struct (?P<name>\w+)[^{;(\n]*\{\n(?P<body>.*?)^[ \t]*\}",
    re.M | re.S,
)
DERIVE = re.compile(r"\b(Resource|DataSource|ProviderConfig|Block)\b")
FIELD = re.compile(r"^(?:pub(?:\([^)]*\))? )?(?:r#)?(?P<name>\w+): (?P<type>.+),$")
PLAIN = {"String": "string", "bool": "bool", "i64": "number", "u64": "number", "f64": "number", "Dynamic": "any"}
WRAPPERS = {"Option", "Sensitive", "Box"}


class Struct:
    def __init__(self, name, kind, label, alias, identity, doc, fields):
        self.name, self.kind, self.label, self.alias, self.identity = name, kind, label, alias, identity
        self.doc, self.fields = doc, fields


class Field:
    def __init__(self, name, rust, flags, doc):
        self.name, self.rust, self.flags, self.doc = name, rust, flags, doc

    def has(self, flag):
        return re.search(rf"(?<![\w\"]){flag}(?![\w\"])", self.flags) is not None


def docs(lines):
    words = " ".join(line.strip()[3:] for line in lines if line.strip().startswith("///"))
    return " ".join(words.split())


def balanced(text, start):
    """The text inside the bracket that opens at `start`."""
    depth, quoted = 0, False
    for i in range(start, len(text)):
        c = text[i]
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        elif not quoted and c in "([{":
            depth += 1
        elif not quoted and c in ")]}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : i], i
    return text[start + 1 :], len(text)


def fields(body):
    """The fields of a struct's body: an attribute may run over several lines."""
    found, doc, flags, rest = [], [], [], body
    while rest:
        line, _, after = rest.partition("\n")
        text = line.strip()
        if text.startswith("///"):
            doc.append(text)
        elif text.startswith("#["):
            start = rest.index("#[") + 1
            inside, end = balanced(rest, start)
            if inside.startswith("attr"):
                flags.append(balanced(inside, inside.index("("))[0])
            after = rest[end + 1 :].partition("\n")[2]
        elif match := FIELD.match(text):
            flag = ", ".join(flags)
            renamed = re.search(r'(?<!\w)name = "([^"]+)"', flag)
            name = renamed.group(1) if renamed else match["name"]
            found.append(Field(name, match["type"], flag, docs(doc)))
            doc, flags = [], []
        rest = after
    return found


def structs(folder):
    found = {}
    for path in sorted(folder.rglob("*.rs")):
        if "tests" in path.parts or path.name == "tests.rs":
            continue
        text = path.read_text()
        opened = set(re.findall(r"^impl Ephemeral for (\w+)", text, re.M))
        for match in STRUCT.finditer(text):
            head = match["head"]
            derive = " ".join(re.findall(r"#\[derive\(([^)]*)\)", head, re.S))
            kind = DERIVE.search(derive)
            if not kind:
                continue
            label = re.search(r'(?:resource|data_source)\(\s*name = "([^"]+)"', head)
            alias = re.search(r'(?:resource|data_source)\([^)]*\balias = "([^"]+)"', head)
            identity = re.search(r"resource\([^)]*\bidentity = (\w+)", head)
            struct = Struct(
                match["name"], "Ephemeral" if match["name"] in opened else kind[1], label and label[1], alias and alias[1], identity and identity[1],
                docs(head.split("\n")), fields(match["body"]),
            )
            # Two modules may each have a `Config`: the file tells them apart.
            found[(path, struct.name)] = struct
    return found


def aliases(folder):
    """`type Name = Rust;` and structs around one value, as what they stand for."""
    found = {}
    for path in folder.rglob("*.rs"):
        text = path.read_text()
        for name, rust in re.findall(r"^\s*(?:pub(?:\([^)]*\))? )?type (\w+) = ([^;]+);", text, re.M):
            found[name] = " ".join(rust.split())
        for name, rust in re.findall(r"^\s*(?:pub(?:\([^)]*\))? )?struct (\w+)\((?:pub(?:\([^)]*\))? )?([^;]+?)\);", text, re.M):
            found[name] = " ".join(rust.split())
    return found


def unwrapped(rust, known):
    """(Name of the innermost type, what is wrapped around it)."""
    around = []
    rust = known.get(rust.strip(), rust)
    while match := re.fullmatch(r"(?:\w+::)*(\w+)<(.+)>", rust.strip()):
        if match[1] not in WRAPPERS:
            around.append(match[1])
        rust = match[2]
        if match[1] == "BTreeMap":
            rust = rust.split(",", 1)[1]
        rust = known.get(rust.strip(), rust)
    return rust.strip().split("::")[-1], around


def hcl(field, inner, known):
    name, around = unwrapped(field.rust, known)
    text = PLAIN.get(name, "object" if inner else name)
    for wrapper in reversed(around):
        word = {"Vec": "set" if field.has("set") else "list", "BTreeSet": "set", "BTreeMap": "map"}.get(wrapper, wrapper)
        text = f"{word}({text})"
    if re.search(r"\bblock\(", field.flags):
        text = "block"
    return text


def meaning(field):
    words = []
    for flag, word in [
        ("required", "required"), ("optional", "optional"), ("computed", "computed"), ("replace", "a change makes a new one"),
        ("sensitive", "sensitive"), ("write_only", "write-only: never in the state"),
        ("unsupported", "**not supported yet: refused**"),
    ]:
        if field.has(flag):
            words.append(word)
    if default := re.search(r"default = (\"[^\"]*\"|[^,\s)]+)", field.flags):
        words.append(f"default `{default[1]}`")
    if env := re.search(r"env = (\[[^\]]*\]|\"[^\"]*\")", field.flags):
        words.append("from " + " or ".join(f"`{name}`" for name in re.findall(r'"([^"]+)"', env[1])))
    words += conditions(field.flags)
    if field.has("deprecated"):
        words.append("deprecated")
    block = re.search(r"\bblock\(([^)]*)\)", field.flags)
    if block and not field.has("unsupported"):
        words += count(field, block[1])
    return ", ".join(words)


def names(texts, last="or"):
    quoted = [f"`{text}`" if text else "empty" for text in re.findall(r'"([^"]*)"', texts)]
    return f" {last} ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))


def bounds(flag):
    """`1..=9` in words. A bound may be a constant's name, which says as much as its number."""
    least, _, most = (part.strip().replace("_", "") for part in flag.partition("..="))
    if not most:
        return f"at least {least.removesuffix('..')}"
    return f"{least} to {most}" if least else f"at most {most}"


CONDITIONS = [
    ("one_of", names),
    ("range", bounds),
    ("length", lambda flag: f"{bounds(flag)} characters or items"),
    ("conflicts", lambda flag: f"not with {names(flag)}"),
    ("requires", lambda flag: f"only with {names(flag, 'and')}"),
    ("exactly_one_of", lambda flag: f"exactly one of these: {names(flag, 'and')}"),
    ("at_least_one_of", lambda flag: f"at least one of these: {names(flag, 'and')}"),
]


def conditions(flags):
    """What a configured value must be, as far as a table can say it: patterns are described in the text."""
    words = []
    for flag, say in CONDITIONS:
        for match in re.finditer(rf"(?<!\w){flag}\(", flags):
            words.append(say(balanced(flags, match.end() - 1)[0]))
    return words


def count(field, flags):
    """How often a block may be written."""
    least = re.search(r"min = (\d+)", flags)
    most = re.search(r"max = (\d+)", flags)
    least = int(least[1]) if least else 0
    most = int(most[1]) if most else 1 if flags.split(",")[0].strip() in ("single", "group") else None
    if most is None and not re.search(r"\b(Vec|BTreeSet|BTreeMap)<", field.rust):
        most = 1
    if (least, most) == (1, 1) or (most == 1 and field.rust[:7] != "Option<" and field.has("required")):
        return ["one"]
    words = [f"at least {least}"] if least else []
    words += [f"at most {most}"] if most else []
    return words or ["any number"]


def rows(struct, resolve, prefix="", seen=()):
    lines = []
    for field in struct.fields:
        if field.has("private"):
            continue
        name, _ = unwrapped(field.rust, resolve.aliases)
        inner = resolve(name)
        if field.has("flatten"):
            lines += rows(inner, resolve, prefix, seen)
            continue
        if field.has("flatten"):
            lines += rows(inner, resolve, prefix, seen)
            continue
        doc = field.doc.replace("|", "\\|")
        lines.append(f"| `{prefix}{field.name}` | {hcl(field, inner, resolve.aliases)} | {meaning(field)} | {doc} |")
        if inner and inner.kind == "Block" and inner.name not in seen and not field.has("unsupported"):
            lines += rows(inner, resolve, f"{prefix}{field.name}.", (*seen, inner.name))
    return lines


def identity(struct):
    names = [f"`{f.name}`" + ("" if f.has("required") else " (optional)") for f in struct.fields]
    return f"Identity, which an `import` block may give in place of an id: {', '.join(names)}."


def section(title, struct, resolve):
    lines = [f"## {title}", ""]
    if struct.doc:
        lines += [struct.doc, ""]
    if struct.alias:
        moves = "; a `moved` block may go from one name to the other" if struct.kind == "Resource" else ""
        lines += [f"Also by the name `{struct.alias}`{moves}.", ""]
    if struct.identity:
        lines += [identity(resolve(struct.identity)), ""]
    table = rows(struct, resolve)
    if table:
        lines += ["| argument | type | | meaning |", "|---|---|---|---|", *table, ""]
    return lines


def page(name):
    found = structs(ROOT / "providers" / name / "src")
    known = aliases(ROOT / "providers" / name / "src")
    intro = INTRO / f"{name}.md"
    lines = [intro.read_text().rstrip() if intro.exists() else f"# {name}", ""]
    lines.insert(1, "\n<!-- Generated by docs/tools/providers.py from the structs and docs/tools/intro: do not edit. -->")

    def resolver(path):
        def resolve(wanted):
            # In the same file, else in the module around it, else wherever there is only one.
            for near in (path, *(parent / "mod.rs" for parent in path.parents)):
                if struct := found.get((near, wanted)):
                    return struct
            same = [s for (_, n), s in found.items() if n == wanted]
            return same[0] if len(same) == 1 else None
        resolve.aliases = known
        return resolve

    # Data sources that show what a resource of the same name manages have no struct of their own: `lookup Struct {` in a table.
    lookups = {
        match for path in (ROOT / "providers" / name / "src").rglob("*.rs") for match in re.findall(r"^\s+lookup (\w+)", path.read_text(), re.M)
    }
    order = {"ProviderConfig": 0, "Resource": 1, "DataSource": 2, "Ephemeral": 3}
    shown = [(path, s) for (path, _), s in found.items() if s.kind in order and (s.label or s.kind == "ProviderConfig")]
    shown.sort(key=lambda pair: (order[pair[1].kind], pair[1].label or str(pair[0])))
    if name == "utility":
        shown = [pair for pair in shown if pair[1].kind != "ProviderConfig" or pair[1].fields]
    for path, struct in shown:
        title = {
            "ProviderConfig": "The provider block",
            "Resource": f"resource `{struct.label}`",
            "DataSource": f"data `{struct.label}`",
            "Ephemeral": f"ephemeral `{struct.label}`",
        }[struct.kind]
        if name == "utility" and struct.kind == "ProviderConfig":
            title += f" of {path.parent.name if path.name in ('mod.rs', 'provider.rs') else path.stem}"
        lines += section(title, struct, resolver(path))
        if struct.kind == "Resource" and struct.name in lookups:
            named = f" (also `{struct.alias}`)" if struct.alias else ""
            lines += [f"The data source of this name{named} looks an existing one up and has the same attributes.", ""]
    if not shown:
        lines += ["This version of the sources holds no schema of this provider.", ""]
    return "\n".join(lines).rstrip() + "\n", len(shown)


def main():
    stale = []
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        text, count = page(name)
        target = PAGES / f"{name}.md"
        if "--check" in sys.argv:
            if not target.exists() or target.read_text() != text:
                stale.append(str(target.relative_to(ROOT)))
        else:
            target.write_text(text)
            print(f"{target.relative_to(ROOT)}: {count} sections")
    if stale:
        sys.exit("out of date, run docs/tools/providers.py: " + ", ".join(stale))


if __name__ == "__main__":
    main()
