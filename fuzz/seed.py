#!/usr/bin/env python3
"""Fills fuzz/corpus from the repository's own tests: `fuzz/seed.py`."""

import hashlib
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = ["native", "json", "expression", "tfvars"]


def seed(target, text, limit=4000):
    data = text if isinstance(text, bytes) else text.encode()
    if 0 < len(data) <= limit:
        name = hashlib.sha1(data).hexdigest()
        (ROOT / "fuzz/corpus" / target / name).write_bytes(data)


def by_name(name, text):
    if re.search(r"\.tf(test|mock|query)?\.json$|\.tofu\.json$", name):
        seed("json", text)
    elif re.search(r"\.tfvars(\.json)?$", name):
        seed("tfvars", text)
    elif re.search(r"\.(tf|tofu|hcl)$", name):
        seed("native", text)


def main():
    for target in TARGETS:
        (ROOT / "fuzz/corpus" / target).mkdir(parents=True, exist_ok=True)
        for file in (ROOT / "lang/tests/fuzz" / target).iterdir():
            seed(target, file.read_bytes())
        for text in json.loads((ROOT / f"lang/tests/fuzz/{target}.json").read_text()):
            seed(target, text)
    for file in ROOT.glob("lang/tests/**/*.tf"):
        by_name(file.name, file.read_text(errors="replace"))
    for file in ROOT.glob("tests/commands/differential/**/*.case"):
        name, lines = None, []
        for line in file.read_text().splitlines() + ["=== "]:
            if line.startswith(("=== ", "--- ")):
                if name:
                    by_name(name, "\n".join(lines) + "\n")
                name, lines = line[4:].strip(), []
            else:
                lines.append(line)
    for file in ROOT.glob("lang/tests/expressions/*.txt"):
        for line in file.read_text().splitlines():
            if not line.startswith("#"):
                seed("expression", line)
                seed("native", f"a = {line}\n")
                seed("tfvars", f"a = {line}\n")
    cases = json.loads((ROOT / "lang/tests/syntax/diagnostics.json").read_text())
    for _, text, *_ in cases:
        seed("native", text)
        seed("tfvars", text)
        seed("json", json.dumps({"locals": {"a": text}}))
    for target in TARGETS:
        print(target, len(list((ROOT / "fuzz/corpus" / target).iterdir())))


main()
