"""What Terraform makes of expressions: many in one plan, read from the plan file with refinements and marks.

`answers(expressions)` gives for each expression `{"type", "value"}` or `{"errors"}`, in the form of tests/expressions/answer.rs.
"""

import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import zipfile
from decimal import Decimal

HERE = pathlib.Path(__file__).resolve().parent.parent / "tests" / "expressions"
BEGIN = "    "
# In the messages of try().
PLACE = re.compile(r"\(at e/main.tf:\d+,(\d+)-(\d+)\)")


# Terraform reads the whole file again for each error that it shows.
AT_ONCE = 300


def answers(expressions, tool="terraform"):
    expressions = list(expressions)
    parts = [expressions[i : i + AT_ONCE] for i in range(0, len(expressions), AT_ONCE)]
    return [answer for part in parts for answer in answers_at_once(part, tool)]


def answers_at_once(expressions, tool):
    found = [None] * len(expressions)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "e").mkdir()
        (folder / "root.tf").write_text((HERE / "root.tf").read_text())
        (folder / "e" / "module.tf").write_text((HERE / "module.tf").read_text())
        run(tool, folder, "init")
        while True:
            # One attribute of one object each; an error names its line.
            open_ones = [i for i, answer in enumerate(found) if answer is None]
            lines = ['resource "terraform_data" "all" {', "  input = {"]
            at = {}
            for i in open_ones:
                at[len(lines) + 1] = i
                lines.append(f"{BEGIN}e{i} = {expressions[i]}")
            lines += ["  }", "}", ""]
            (folder / "e" / "main.tf").write_text("\n".join(lines))
            done = run(tool, folder, "plan", "-json", "-refresh=false", "-out=plan")
            if not done.returncode:
                break
            wrong = {}
            for line in done.stdout.splitlines():
                event = json.loads(line)
                diagnostic = event.get("diagnostic")
                if not diagnostic or diagnostic["severity"] != "error":
                    continue
                span = diagnostic.get("range")
                if not span or span["filename"] != "e/main.tf" or span["start"]["line"] not in at:
                    raise SystemExit(f"{diagnostic}")
                i = at[span["start"]["line"]]
                skip = len(f"{BEGIN}e{i} = ")
                columns = [span["start"]["column"] - skip, span["end"]["column"] - skip]
                detail = PLACE.sub(lambda m: f"(at main.tf:1,{int(m[1]) - skip}-{int(m[2]) - skip})", diagnostic["detail"])
                error = {"summary": diagnostic["summary"], "detail": detail, "columns": columns}
                wrong.setdefault(i, []).append(error)
            if not wrong:
                raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
            for i, errors in wrong.items():
                found[i] = {"errors": errors}
        with zipfile.ZipFile(folder / "plan") as plan:
            planned = read_plan(plan.read("tfplan"))
    for i, answer in enumerate(found):
        if answer is None:
            found[i] = planned[f"e{i}"]
    return found


def run(tool, folder, *args):
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run([tool, *args], cwd=folder, env=environment, capture_output=True, text=True)
    return done


# The plan file: protocol buffers around msgpack.


def fields(data):
    """Every field of a protobuf message: number and content."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            yield number, varint()
        elif kind == 2:
            length = varint()
            yield number, data[at : at + length]
            at += length
        elif kind == 5:
            yield number, data[at : at + 4]
            at += 4
        else:
            yield number, data[at : at + 8]
            at += 8


def read_plan(data):
    """The attributes of terraform_data.all's input, by name."""
    for number, change in fields(data):
        if number != 3:
            continue
        instance = list(fields(change))
        if not any(content == b"module.e.terraform_data.all" for _, content in instance):
            continue
        change = next(content for number, content in instance if number == 9)
        values = [content for number, content in fields(change) if number == 2]
        sensitive = [read_path(content) for number, content in fields(change) if number in (5, 4)]
        after = next(content for number, content in fields(values[-1]) if number == 1)
        value = Reader(after).item()
        types, parts = value["input"]
        types = json.loads(types)[1]
        out = {}
        for name, part in parts.items():
            answer = dynamic(types[name], part)
            if types[name] == "dynamic":
                types[name] = answer["type"]
            else:
                answer = {"type": types[name], "value": decode(types[name], part)}
            for path in sensitive:
                if path[:2] == ["input", name]:
                    answer["value"] = mark(answer["value"], path[2:])
            out[name] = answer
        return out
    raise SystemExit("the plan has no terraform_data.all")


def read_path(data):
    steps = []
    for _, step in fields(data):
        for number, content in fields(step):
            if number == 1:
                steps.append(content.decode())
            else:
                raw = next(c for n, c in fields(content) if n == 1)
                item = Reader(raw).item()
                item = item[1] if isinstance(item, list) else item
                steps.append(item)
    return steps


def mark(value, path):
    if not path:
        return value if isinstance(value, dict) and "sensitive" in value else {"sensitive": value}
    if isinstance(value, dict) and "sensitive" in value:
        return {"sensitive": mark(value["sensitive"], path)}
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        if not isinstance(step, int):
            return value
        return [mark(v, rest) if i == step else v for i, v in enumerate(value)]
    entries = dict(value["entries"])
    entries[step] = mark(entries[step], rest)
    return {"entries": entries}


def dynamic(ty, part):
    if ty != "dynamic":
        return {"type": ty, "value": decode(ty, part)}
    if part is None:
        return {"type": "dynamic", "value": None}
    if isinstance(part, Unknown):
        return {"type": "dynamic", "value": {"unknown": part.known}}
    ty = json.loads(part[0])
    return {"type": ty, "value": decode(ty, part[1])}


def decode(ty, part):
    if part is None:
        return None
    if isinstance(part, Unknown):
        return {"unknown": part.known}
    if ty == "dynamic":
        return dynamic(ty, part)["value"]
    if ty == "number":
        return {"number": number_text(part)}
    if isinstance(ty, str):
        return part
    kind, inner = ty[0], ty[1]
    if kind in ("list", "set"):
        return [decode(inner, v) for v in part]
    if kind == "map":
        return {"entries": {k: decode(inner, v) for k, v in part.items()}}
    if kind == "tuple":
        return [decode(t, v) for t, v in zip(inner, part)]
    return {"entries": {k: decode(inner[k], v) for k, v in part.items()}}


def number_text(part):
    if isinstance(part, int):
        return str(part)
    if part in (float("inf"), float("-inf")):
        return "+Inf" if part > 0 else "-Inf"
    text = format(Decimal(repr(part) if isinstance(part, float) else part), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class Unknown:
    def __init__(self, known):
        self.known = known


class Reader:
    """msgpack, as far as go-cty writes it."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def uint(self, count):
        return int.from_bytes(self.take(count), "big")

    def item(self):
        b = self.uint(1)
        if b < 0x80:
            return b
        if b < 0x90:
            return self.map(b & 15)
        if b < 0xA0:
            return [self.item() for _ in range(b & 15)]
        if b < 0xC0:
            return self.take(b & 31).decode()
        if b >= 0xE0:
            return b - 256
        if b == 0xC0:
            return None
        if b in (0xC2, 0xC3):
            return b == 0xC3
        if b in (0xC4, 0xC5, 0xC6):
            return self.take(self.uint(1 << (b - 0xC4)))
        if b in (0xC7, 0xC8, 0xC9):
            return self.ext(self.uint(1 << (b - 0xC7)))
        if b == 0xCA:
            return struct.unpack(">f", self.take(4))[0]
        if b == 0xCB:
            return struct.unpack(">d", self.take(8))[0]
        if 0xCC <= b <= 0xCF:
            return self.uint(1 << (b - 0xCC))
        if 0xD0 <= b <= 0xD3:
            return int.from_bytes(self.take(1 << (b - 0xD0)), "big", signed=True)
        if 0xD4 <= b <= 0xD8:
            return self.ext(1 << (b - 0xD4))
        if b in (0xD9, 0xDA, 0xDB):
            return self.take(self.uint(1 << (b - 0xD9))).decode()
        if b in (0xDC, 0xDD):
            return [self.item() for _ in range(self.uint(2 << (b - 0xDC)))]
        return self.map(self.uint(2 << (b - 0xDE)))

    def map(self, count):
        out = {}
        for _ in range(count):
            key = self.item()
            out[key] = self.item()
        return out

    def ext(self, length):
        kind = self.uint(1)
        body = self.take(length)
        known = {}
        if kind == 12:
            for key, content in Reader(body).item().items():
                if key == 1:
                    if content is False:
                        known["not_null"] = True
                elif key == 2:
                    known["prefix"] = content
                elif key in (3, 4):
                    known["lower" if key == 3 else "upper"] = [number_text(content[0]), content[1]]
                elif content or key == 6:
                    known["min_length" if key == 5 else "max_length"] = content
        return Unknown(known)
