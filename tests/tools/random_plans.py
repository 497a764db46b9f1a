#!/usr/bin/env python3
"""Random configurations of terraform_data through stead and Terraform: both must plan the same changes for the same reasons,
and leave the same state.

Each seed makes a configuration (modules, count, for_each, references, depends_on, lifecycle, locals, conditionals, checks,
outputs) and a mutated second version of it. Both tools run: plan and apply of the first, plan and apply of the second, plan
and apply of the destruction. Compared are exit codes, the plan's changes, reasons, drift, outputs and checks, and the state.

    tests/tools/random_plans.py --stead target/debug/stead 0 200      # seeds 0 to 199

Terraform's answers are kept in a cache folder, so that a second run costs only stead's time. A seed that differs leaves its
folder and a report behind.
"""
import argparse, concurrent.futures, hashlib, json, os, pathlib, random, re, shutil, subprocess, sys, tempfile

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)


# ---------------------------------------------------------------- generator
class Module:
    """What one module declares; `exports` are the outputs' types by name."""

    def __init__(self, name):
        self.name = name
        self.variables = {}  # name -> (type, has_default)
        self.blocks = []  # (kind, name, text)
        self.exports = {}


class Generator:
    """Makes the text of a configuration. `shape` decides what exists, `detail` what it says: a mutation keeps most of both."""

    def __init__(self, seed, generation):
        self.shape = random.Random(seed)
        self.change = random.Random(seed * 7919 + generation)
        self.generation = generation

    def keep(self, probability):
        """Whether the mutated version keeps something as it was; the first version keeps all."""
        return self.generation == 0 or self.change.random() < probability

    def rng(self, keep=0.8):
        """The source of chance for one detail: in the second version it is sometimes another one."""
        own = self.shape.randrange(1 << 30)
        return random.Random(own if self.keep(keep) else own ^ 0x5A5A5A)

    # expressions of a type, from what is in scope: [(type, text)]
    def expr(self, rng, kind, scope, depth=0):
        options = [text for t, text in scope if t == kind]
        roll = rng.random()
        if options and roll < 0.55:
            return rng.choice(options)
        if depth > 2:
            roll = 0.99
        e = lambda k: self.expr(rng, k, scope, depth + 1)
        if kind == "string":
            forms = [
                lambda: '"%s"' % rng.choice(["a", "b", "c", "", "x y", "é"]),
                lambda: '"p-${%s}"' % e("string"),
                lambda: "upper(%s)" % e("string"),
                lambda: "(%s ? %s : %s)" % (e("bool"), e("string"), e("string")),
                lambda: 'format("%%s/%%d", %s, %s)' % (e("string"), e("number")),
                lambda: 'join(",", %s)' % e("list"),
                lambda: "jsonencode(%s)" % e("map"),
                lambda: 'lookup(%s, "k1", %s)' % (e("map"), e("string")),
                lambda: "tostring(%s)" % e("number"),
                lambda: 'try(%s["k2"], "none")' % e("map"),
            ]
        elif kind == "number":
            forms = [
                lambda: str(rng.randrange(0, 9)),
                lambda: "%s + %d" % (e("number"), rng.randrange(3)),
                lambda: "length(%s)" % e("list"),
                lambda: "length(%s)" % e("string"),
                lambda: "(%s ? %s : %s)" % (e("bool"), e("number"), e("number")),
            ]
        elif kind == "bool":
            forms = [
                lambda: rng.choice(["true", "false"]),
                lambda: "%s == %s" % (e("string"), e("string")),
                lambda: "%s > %d" % (e("number"), rng.randrange(4)),
                lambda: "!(%s)" % e("bool"),
                lambda: "(%s) && (%s)" % (e("bool"), e("bool")),
            ]
        elif kind == "list":
            forms = [
                lambda: "[%s]" % ", ".join(e("string") for _ in range(rng.randrange(3))),
                lambda: "tolist([%s])" % ", ".join(e("string") for _ in range(rng.randrange(1, 3))),
                lambda: "[for s in %s : s]" % e("list"),
                lambda: "values(%s)" % e("map"),
                lambda: "concat(%s, %s)" % (e("list"), e("list")),
            ]
        else:
            forms = [
                lambda: "{ %s }" % ", ".join("k%d = %s" % (i, e("string")) for i in range(rng.randrange(1, 4))),
                lambda: "{ for i, s in %s : \"k${i}\" => s }" % e("list"),
                lambda: "merge(%s, { k1 = %s })" % (e("map"), e("string")),
                lambda: "tomap({ k0 = %s })" % e("string"),
            ]
        return (forms[0] if depth > 2 or roll > 0.97 else rng.choice(forms))()

    def module(self, name, depth):
        module = Module(name)
        scope = []  # what may be referred to
        known = []  # the part of it that is known while planning
        conditions = []
        referable = []  # addresses for depends_on
        s = self.shape
        for i in range(s.randrange(0, 3) + (0 if depth == 0 else 1)):
            kind = s.choice(["string", "string", "number", "list", "map"])
            default = {"string": '"d%d"' % i, "number": str(i), "list": '["l"]', "map": '{ k0 = "m" }'}[kind]
            hcl = {"list": "list(string)", "map": "map(string)"}.get(kind, kind)
            extra = ""
            if s.random() < 0.15:
                extra = '\n  validation {\n    condition = length("${jsonencode(var.v%d)}") > %d\n    error_message = "too short"\n  }' % (i, self.rng(0.9).choice([0, 1, 2]))
            sensitive = s.random() < 0.08
            module.blocks.append('variable "v%d" {\n  type = %s\n  default = %s%s%s\n}' % (i, hcl, default, "\n  sensitive = true" if sensitive else "", extra))
            module.variables["v%d" % i] = kind
            scope.append((kind, "var.v%d" % i))
            if not sensitive and depth == 0:
                known.append((kind, "var.v%d" % i))
        callees = self.library[depth + 1 :] if depth < 2 else []
        for i in range(s.randrange(3, 8) if depth == 0 else s.randrange(1, 4)):
            what = s.random()
            if what < 0.15:
                kind = s.choice(["string", "number", "list", "map", "bool"])
                rng = self.rng()
                module.blocks.append("locals {\n  l%d = %s\n}" % (i, self.expr(rng, kind, scope)))
                scope.append((kind, "local.l%d" % i))
                continue
            if what < 0.35 and callees:
                self.call(module, s.choice(callees), i, scope, known, referable)
                continue
            self.resource(module, i, scope, known, referable)
        if self.keep(0.9) or True:
            for i in range(s.randrange(1, 4)):
                rng = self.rng(0.8)
                kind = s.choice(["string", "list", "map", "number"])
                pre = ""
                if s.random() < 0.15 and scope:
                    pre = '\n  precondition {\n    condition = length(jsonencode(%s)) >= %d\n    error_message = "precondition of o%d"\n  }' % (rng.choice([t for _, t in scope]), rng.choice([0, 1]), i)
                text = self.expr(rng, kind, scope)
                gone = depth == 0 and not self.keep(0.9)
                sensitive = "\n  sensitive = true" if depth == 0 and s.random() < 0.5 else ""
                if any(b.find("sensitive = true") > 0 and b.startswith("variable") for b in module.blocks) or depth == 0:
                    sensitive = sensitive or ("\n  sensitive = true" if depth == 0 and self.has_secret else "")
                if not gone:
                    module.blocks.append('output "o%d" {\n  value = %s%s%s\n}' % (i, text, sensitive, pre))
                module.exports["o%d" % i] = kind
        if s.random() < 0.3 and scope:
            rng = self.rng(0.7)
            module.blocks.append('check "c" {\n  assert {\n    condition = length(jsonencode(%s)) > %d\n    error_message = "check failed: ${%s}"\n  }\n}' % (rng.choice([t for _, t in scope]), rng.choice([0, 3, 100]), self.expr(rng, "string", known, 3)))
        return module

    def repetition(self, rng, known):
        """(argument, reference to one instance, kind)"""
        roll = rng.random()
        if roll < 0.6:
            return None, "single"
        if roll < 0.8:
            n = rng.choice(["0", "1", "2", "2", "3"])
            if known and rng.random() < 0.3:
                n = "min(3, length(%s))" % self.expr(rng, "list", known, 2)
            return "count = %s" % n, "count"
        keys = rng.choice([["a"], ["a", "b"], ["b", "c"], ["a", "b", "c"], []])
        if rng.random() < 0.5:
            return "for_each = toset(%s)" % json.dumps(keys), "set"
        return "for_each = { %s }" % ", ".join('%s = "v-%s"' % (k, k) for k in keys), "map"

    def depends(self, rng, referable):
        if referable and rng.random() < 0.2:
            return "\n  depends_on = [%s]" % ", ".join(sorted(set(rng.choice(referable) for _ in range(2))))
        return ""

    def call(self, module, callee, i, scope, known, referable):
        s = self.shape
        gone = not self.keep(0.92)
        repetition, kind = self.repetition(self.rng(0.85), known)
        inner = list(scope)
        if kind == "count":
            inner.append(("number", "count.index"))
        elif kind != "single":
            inner.append(("string", "each.key"))
        arguments = []
        for name, t in callee.variables.items():
            rng = self.rng()
            if s.random() < 0.7:
                arguments.append("  %s = %s" % (name, self.expr(rng, t, inner)))
        depends = self.depends(self.rng(0.9), referable)
        name = "m%d" % i
        text = 'module "%s" {\n  source = "%s"%s\n%s%s\n}' % (
            name, self.path_to(callee), "\n  " + repetition if repetition else "", "\n".join(arguments), depends)
        self.mutable.append(gone)
        if gone:
            # What refers to it would break: only its instances go.
            text = text.replace(repetition, "count = 0") if repetition and kind == "count" else text
        module.blocks.append(text)
        self.calls.append((module, name, callee))
        for output, t in callee.exports.items():
            scope.append((t, self.reach("module." + name, kind, output, t)))
        referable.append("module." + name)

    def path_to(self, callee):
        return "./" + callee.name if self.current_depth == 0 else "../" + callee.name

    def reach(self, base, kind, attribute, t):
        """A reference to an attribute that stands whatever instances there are."""
        empty = {"string": '""', "number": "0", "list": "[]", "map": "{}", "bool": "false"}[t]
        if kind == "single":
            return "%s.%s" % (base, attribute)
        if kind == "count":
            return "try(%s[0].%s, %s)" % (base, attribute, empty)
        return 'try(%s["a"].%s, %s)' % (base, attribute, empty)

    def resource(self, module, i, scope, known, referable):
        s = self.shape
        rng = self.rng(0.85)
        kind_of_input = s.choice(["string", "string", "map", "list", "number"])
        repetition, kind = self.repetition(rng, known)
        if kind_of_input and self.generation and not self.keep(0.95):
            repetition, kind = None, kind  # references stay of the old form: try() catches them
        inner = list(scope)
        if kind == "count" and repetition:
            inner.append(("number", "count.index"))
        elif kind != "single" and repetition:
            inner.append(("string", "each.key"))
        lines = []
        if repetition:
            lines.append(repetition)
        if s.random() < 0.85:
            lines.append("input = %s" % self.expr(self.rng(0.75), kind_of_input, inner))
        if s.random() < 0.35:
            lines.append("triggers_replace = %s" % self.expr(self.rng(0.75), s.choice(["string", "list", "map"]), inner))
        life = []
        cbd = s.choice(["true", "true", "false"])
        if s.random() < 0.2 and self.keep(0.8):
            life.append("create_before_destroy = %s" % cbd)
        if s.random() < 0.12:
            life.append("ignore_changes = %s" % s.choice(["[input]", "all", "[triggers_replace]", "[input, triggers_replace]"]))
        triggers = [r for r in referable if r.startswith("terraform_data")]
        if triggers and s.random() < 0.2:
            target = s.choice(triggers)
            life.append("replace_triggered_by = [%s]" % (target + s.choice(["", "", ".id", ".output"]) if target in self.singles else target))
        if s.random() < 0.1 and inner:
            # A condition must refer to something.
            life.append('precondition {\n      condition = length(jsonencode(%s)) > 0\n      error_message = "pre"\n    }' % self.rng(0.9).choice([t for _, t in inner]))
        if s.random() < 0.1:
            life.append('postcondition {\n      condition = self.id != ""\n      error_message = "post"\n    }')
        if life:
            lines.append("lifecycle {\n    %s\n  }" % "\n    ".join(life))
        name = "r%d" % i
        text = 'resource "terraform_data" "%s" {\n  %s%s\n}' % (name, "\n  ".join(lines), self.depends(self.rng(0.9), referable))
        module.blocks.append(text)
        base = "terraform_data." + name
        if kind == "single":
            self.singles.add(base)
        if kind == "single" or True:
            scope.append((kind_of_input, self.reach(base, kind, "output", kind_of_input) if "input" in text else self.reach(base, kind, "id", "string")) if "input =" in text else ("string", self.reach(base, kind, "id", "string")))
            scope.append(("string", self.reach(base, kind, "id", "string")))
            if "input =" in text and kind_of_input == "string":
                scope.append(("string", 'tostring(%s)' % self.reach(base, kind, "input", "string")))
            if kind == "count":
                scope.append(("list", base + "[*].id"))
            elif kind != "single":
                scope.append(("list", "[for k, r in %s : r.id]" % base))
                scope.append(("map", "{ for k, r in %s : k => r.id }" % base))
        referable.append(base)

    def files(self):
        """{file: text} of the whole configuration, and the calls for modules.json."""
        self.library, self.calls, self.mutable, self.singles = [], [], [], set()
        self.has_secret = True
        s = self.shape
        count = s.randrange(0, 3)
        # Deepest first: a module calls only what was made before it.
        made = []
        for depth in range(count, 0, -1):
            self.library = [None] * (depth + 1) + list(made)
            self.current_depth = depth
            self.singles = set()
            made.insert(0, self.module("mod%d" % depth, depth))
        self.library = [None] + made
        self.current_depth = 0
        self.singles = set()
        root = self.module("", 0)
        files = {"main.tf": "\n\n".join(root.blocks) + "\n"}
        for module in made:
            files[module.name + "/main.tf"] = "\n\n".join(module.blocks) + "\n"
        calls = []

        def visit(module, path):
            for owner, name, callee in self.calls:
                if owner is module:
                    calls.append((path + [name], callee.name))
                    visit(callee, path + [name])

        visit(root, [])
        return files, calls


# ---------------------------------------------------------------- running
class Crashed(Exception):
    """The reference came to no answer: now and then Terraform dies of a race ("concurrent map read and map write"), with exit code 2."""


class Tool:
    def __init__(self, program, folder, reference):
        self.program, self.folder, self.reference = program, pathlib.Path(folder), reference

    def run(self, *arguments):
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "GOMAXPROCS": "2",
        }
        done = subprocess.run([self.program, *arguments], cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)
        if self.reference and re.search(r"^(fatal error|panic): ", done.stderr, re.M):
            raise Crashed(done.stderr[:200])
        return done.returncode, done.stdout, done.stderr

    def lay_out(self, files, calls):
        for old in self.folder.rglob("*.tf"):
            old.unlink()
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if self.reference:
            modules = [{"Key": "", "Source": "", "Dir": "."}]
            for path, directory in calls:
                modules.append({"Key": ".".join(path), "Source": ("./" if len(path) == 1 else "../") + directory, "Dir": directory})
            (self.folder / ".terraform/modules").mkdir(parents=True, exist_ok=True)
            (self.folder / ".terraform/modules/modules.json").write_text(json.dumps({"Modules": modules}))

    def step(self, options):
        answer = {}
        code, out, err = self.run("plan", "-no-color", "-input=false", "-lock=false", "-detailed-exitcode", "-out=tfplan", *options)
        answer["plan"] = code
        answer["text"] = out[-3000:] + err
        if code not in (0, 2):
            answer["errors"] = sorted(set(re.findall(r"^.?\s?Error: (.*)$", out + err, re.M)))
            return answer
        code, out, err = self.run("show", "-json", "tfplan")
        answer["show"] = shown(json.loads(out)) if code == 0 else err
        code, out, err = self.run("apply", "-no-color", "-input=false", "-lock=false", "tfplan")
        answer["apply"] = code
        answer["text"] += out[-3000:] + err
        if code:
            answer["errors"] = sorted(set(re.findall(r"^.?\s?Error: (.*)$", out + err, re.M)))
        answer["warnings"] = sorted(re.findall(r"^.?\s?Warning: (.*)$", answer["text"], re.M))
        path = self.folder / "terraform.tfstate"
        answer["state"] = state(json.loads(path.read_text())) if path.exists() else None
        return answer


def stable(value):
    if isinstance(value, str):
        return UUID.sub("UUID", value)
    if isinstance(value, list):
        return [stable(v) for v in value]
    if isinstance(value, dict):
        return {k: stable(v) for k, v in sorted(value.items())}
    return value


def shown(plan):
    def changes(name):
        found = {}
        for change in plan.get(name, []):
            inner = change["change"]
            if "replace_paths" in inner:
                inner["replace_paths"] = sorted(inner["replace_paths"], key=json.dumps)
            found[change["address"] + (" deposed" if "deposed" in change else "")] = {
                k: change.get(k) for k in ("action_reason", "previous_address", "change")}
        return found

    checks = plan.get("checks") or []
    for output in plan.get("output_changes", {}).values():
        if output.get("after") is None:
            output.pop("after", None)
    without_empty_values(plan.get("planned_values", {}).get("root_module", {}))
    return stable({
        "changes": changes("resource_changes"), "drift": changes("resource_drift"), "outputs": plan.get("output_changes", {}),
        "planned": plan.get("planned_values", {}), "checks": sorted(checks, key=lambda c: json.dumps(c["address"], sort_keys=True)),
        "relevant": sorted(plan.get("relevant_attributes", []), key=lambda r: json.dumps(r, sort_keys=True)),
        "applyable": plan.get("applyable"), "complete": plan.get("complete"),
    })


def without_empty_values(module):
    for resource in module.get("resources", []):
        if not resource.get("values"):
            resource.pop("values", None)
    # Terraform lists nested modules in any order.
    module.get("child_modules", []).sort(key=lambda child: child["address"])
    for child in module.get("child_modules", []):
        without_empty_values(child)


def state(state):
    for resource in state.get("resources", []):
        for instance in resource["instances"]:
            instance.pop("identity_schema_version", None)
            if "deposed" in instance:
                instance["deposed"] = "KEY"
            instance["sensitive_attributes"] = sorted(instance.get("sensitive_attributes", []), key=json.dumps)
    checks = state.get("check_results") or []
    for check in checks:
        if check.get("objects"):
            check["objects"] = sorted(check["objects"], key=lambda o: o["object_addr"])
    return stable({"outputs": state.get("outputs"), "resources": state.get("resources"),
                   "check_results": sorted(checks, key=lambda c: (c["object_kind"], c["config_addr"]))})


def steps(seed):
    first = Generator(seed, 0).files()
    second = Generator(seed, 1).files()
    return [(first, []), (second, []), (second, []), (second, ["-destroy"])]


def answers(program, seed, folder, reference):
    tool = Tool(program, folder, reference)
    found = []
    for (files, calls), options in steps(seed):
        tool.lay_out(files, calls)
        found.append(tool.step(options))
        if found[-1]["plan"] not in (0, 2):
            break
    return found


def without_text(found):
    return [{k: v for k, v in step.items() if k not in ("text", "warnings")} for step in found]


def differences(a, b, path=""):
    if type(a) is not type(b):
        return ["%s: %s / %s" % (path, json.dumps(a)[:200], json.dumps(b)[:200])]
    if isinstance(a, dict):
        return [d for k in sorted(set(a) | set(b)) for d in (
            differences(a[k], b[k], path + "/" + k) if k in a and k in b
            else ["%s/%s only in %s: %s" % (path, k, "reference" if k in a else "stead", json.dumps(a.get(k, b.get(k)))[:200])])]
    if isinstance(a, list):
        if len(a) != len(b):
            return ["%s: %s / %s" % (path, json.dumps(a)[:300], json.dumps(b)[:300])]
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, "%s/%d" % (path, i))]
    return [] if a == b else ["%s: %s / %s" % (path, json.dumps(a)[:200], json.dumps(b)[:200])]


def answers_of_reference(options, seed):
    """Asked again after a crash, which does not repeat itself; one that does is no answer."""
    for attempt in range(3):
        try:
            with tempfile.TemporaryDirectory() as folder:
                return answers(options.terraform, seed, folder, True)
        except Crashed as crash:
            print("seed %d: the reference crashed: %s" % (seed, crash), flush=True)
    raise Crashed("three times, seed %d" % seed)


def run_seed(options, seed):
    text = json.dumps([s for s in steps(seed)], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    cached = pathlib.Path(options.cache) / ("%d-%s.json" % (seed, key))
    if cached.exists():
        expected = stable(json.loads(cached.read_text()))
    else:
        expected = answers_of_reference(options, seed)
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(json.dumps(expected))
    folder = pathlib.Path(options.out) / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = answers(options.stead, seed, folder, False)
    # Terraform's own defects: a trigger without instances, and an order of destruction that it cannot find.
    defect = lambda e: "no change found for" in e or (e.startswith("Cycle:") and "(destroy)" in e)
    if any(defect(e) for step in expected for e in step.get("errors", [])):
        shutil.rmtree(folder)
        return seed, expected, []
    # A mistake in a condition makes Terraform evaluate the message beside it without any names: 'There is no variable named "var"'.
    for step in expected:
        if len(step.get("errors", [])) > 1:
            step["errors"] = [e for e in step["errors"] if e != "Unknown variable"]
    diff = differences(without_text(stable(expected)), without_text(stable(found)))
    if diff:
        (folder / "REPORT").write_text("\n".join(diff) + "\n\n" + "\n=======\n".join(s["text"] for s in expected) + "\n#######\n" + "\n=======\n".join(s["text"] for s in found))
        for i, ((files, calls), _) in enumerate(steps(seed)):
            for name, body in files.items():
                path = folder / ("step%d" % i) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body)
    else:
        shutil.rmtree(folder)
    return seed, expected, diff


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=int)
    parser.add_argument("end", type=int)
    parser.add_argument("--stead", default="target/debug/stead")
    parser.add_argument("--terraform", default="terraform")
    parser.add_argument("--cache", default="/tmp/random-plans/cache")
    parser.add_argument("--out", default="/tmp/random-plans/differences")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print the configurations and do nothing")
    options = parser.parse_args()
    options.stead = os.path.abspath(options.stead)
    if options.show:
        for seed in range(options.first, options.end):
            for (files, _), _ in steps(seed):
                for name, text in files.items():
                    print("#### %d %s\n%s" % (seed, name, text))
        return
    bad, failed = [], 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for seed, expected, diff in pool.map(lambda s: run_seed(options, s), range(options.first, options.end)):
            failed += any(step["plan"] == 1 for step in expected)
            if diff:
                bad.append(seed)
                print("seed %d: %d differences\n  %s" % (seed, len(diff), "\n  ".join(diff[:6])), flush=True)
    total = options.end - options.first
    print("%d seeds, %d of them refused by both, %d with differences: %s" % (total, failed, len(bad), bad))
    sys.exit(bool(bad))


main()
