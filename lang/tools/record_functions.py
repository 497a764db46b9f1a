#!/usr/bin/env python3
"""Records what Terraform makes of the expressions in tests/functions.txt, as tests/functions.json.

Needs `terraform` 1.11 on the PATH. Each result is kept with its type; each error as the text that people see.
"""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent / "tests"
FILES = {
    "hello.txt": "Hello, wörld\n",
    "greet.tftpl": "Hello ${name}!\n%{ for i in items ~}\n- ${i}\n%{ endfor ~}\n",
    "number.tftpl": "${n}",
    "recurse.tftpl": '${templatefile("recurse.tftpl", {})}',
    "bad.tftpl": "${",
    "sub/a.txt": "a",
    "sub/b.md": "b",
    "sub/deep/c.txt": "c",
    "sub/deep/c.md": "c",
}
BINARY = {"binary.bin": "/wD+"}  # base64
NUMBER = "number: "


def terraform(folder, *args, **kwargs):
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        ["terraform", *args], cwd=folder, env=environment, capture_output=True, text=True, **kwargs
    )


def apply(folder, outputs):
    """The outputs' values and types, without those that Terraform refuses before it evaluates anything."""
    source = pathlib.Path(folder) / "main.tf"
    while True:
        blocks = (f'output "{name}" {{\n  value = {expr}\n}}\n' for name, expr in outputs.items())
        source.write_text("".join(blocks))
        done = terraform(folder, "apply", "-auto-approve", "-no-color")
        if not done.returncode:
            # Numbers keep all their digits: as text until they are written.
            text = terraform(folder, "output", "-json").stdout
            verbatim = "{}{{}}".format(NUMBER).format
            return json.loads(text, parse_float=verbatim, parse_int=verbatim)
        refused = set(re.findall(r'in output "(e\d+)"', done.stderr))
        if not refused:
            sys.exit(done.stderr)
        outputs = {name: expr for name, expr in outputs.items() if name not in refused}


def error_of(folder, expr):
    """What people see; empty when the result is only not known."""
    source = pathlib.Path(folder) / "main.tf"
    source.write_text("")
    text = terraform(folder, "console", "-no-color", input=expr + "\n").stderr
    lines = [re.sub(r"^│ ?", "", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and line[0] not in "╷╵├" and "on <console-input>" not in line]
    text = " ".join(line for line in lines if "source code not available" not in line)
    return text.split("Error: ", 1)[-1].strip()


def main():
    expressions = [
        line for line in (HERE / "functions.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name, text in BINARY.items():
            (pathlib.Path(folder) / name).write_bytes(base64.b64decode(text))
        names = {f"e{i:04}": expr for i, expr in enumerate(expressions)}
        good = {n: o["value"] for n, o in apply(folder, {n: f"can([{e}])" for n, e in names.items()}).items()}
        # Wrapped, because a null output is no output.
        answers = apply(folder, {n: f"nonsensitive([{e}])" for n, e in names.items() if good.get(n)})
        cases = []
        for name, expr in names.items():
            if name in answers:
                answer = answers[name]
                cases.append({"expr": expr, "type": answer["type"][1][0], "value": answer["value"][0]})
            else:
                error = error_of(folder, expr)
                cases.append({"expr": expr, **({"error": error} if error else {"unknown": True})})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    lines = re.sub(rf'"{NUMBER}([^"]*)"', r"\1", lines)
    files = json.dumps(FILES, ensure_ascii=False)
    binary = json.dumps(BINARY)
    (HERE / "functions.json").write_text(
        f'{{"files": {files},\n"binary": {binary},\n"cases": [\n{lines}\n]}}\n'
    )


if __name__ == "__main__":
    main()
