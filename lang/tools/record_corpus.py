#!/usr/bin/env python3
"""Records what `terraform` (1.11) says about the files of tests/ok (outputs) and tests/err (diagnostics)."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests"
ENV = dict(os.environ, TF_CLI_CONFIG_FILE=os.devnull)


def terraform(directory, *args):
    return subprocess.run(["terraform", *args], cwd=directory, env=ENV, capture_output=True, text=True)


def compact(value):
    """JSON as Go writes it: no blanks, keys sorted, `<`, `>` and `&` escaped."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def outputs(directory):
    terraform(directory, "apply", "-auto-approve")
    # Numbers stay as they are written.
    found = json.loads(terraform(directory, "output", "-json").stdout, parse_float=Number, parse_int=Number)
    return "{\n" + ",\n".join(f'"{name}": {restore(compact(o["value"]))}' for name, o in found.items()) + "\n}\n"


class Number(str):
    """A number's text, marked so that `restore` takes its quotes off."""

    def __new__(cls, text):
        return super().__new__(cls, "\0" + text + "\0")


def restore(text):
    return text.replace('"\\u0000', "").replace('\\u0000"', "")


def diagnostics(directory):
    found = json.loads(terraform(directory, "validate", "-json").stdout)["diagnostics"]
    lines = sorted((d.get("range", {}).get("start", {}).get("line", 0), d["summary"]) for d in found)
    return "".join(f"{line} {summary}\n" for line, summary in lines)


for folder, ending, record in (("ok", ".json", outputs), ("err", ".txt", diagnostics)):
    for path in sorted((TESTS / folder).glob("*.tf")):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(path, pathlib.Path(directory) / "main.tf")
            path.with_suffix(ending).write_text(record(directory))
