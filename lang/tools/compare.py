#!/usr/bin/env python3
"""Compares what Terraform and stead make of expressions, one a line on standard input.

    cargo build -p stead-lang --example evaluate
    lang/tools/generate.py 2000 SEED | lang/tools/compare.py [--words]

With `--words` the errors' details must agree too; else only their summary and place do.
"""

import json
import pathlib
import subprocess
import sys

import oracle

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EVALUATE = ROOT / "target" / "debug" / "examples" / "evaluate"


def ours(expressions):
    done = subprocess.run([EVALUATE], input="".join(e + "\n" for e in expressions), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def infinite(answer):
    """The reference has no place for infinity in a plan."""
    return '{"number": "+Inf"}' in json.dumps(answer) or '{"number": "-Inf"}' in json.dumps(answer)


def plain(answer):
    """Without marks."""
    if isinstance(answer, dict):
        return plain(answer["sensitive"]) if "sensitive" in answer else {k: plain(v) for k, v in answer.items()}
    return [plain(v) for v in answer] if isinstance(answer, list) else answer


def settled(expr, want):
    """Whether the reference's answer is one to follow: not a crash, not by the chance of its maps' order, and not about `&&` and
    `||`, which stop early since Terraform 1.12."""
    return "goroutine" not in json.dumps(want) and not any(word in expr for word in ("&&", "||", "transpose("))


def agree(want, got, words):
    if "errors" not in want or "errors" not in got:
        # Terraform loses the mark of some unknown values; stead does not.
        return want == got or ('"unknown"' in json.dumps(want) and plain(want) == plain(got) and want["value"] != got["value"])
    # Terraform validates before it plans, so that it may show fewer errors at once: each of them must be among ours.
    keys = ("summary", "columns") + (("detail",) if words else ())
    mine = [[e[k] for k in keys] for e in got["errors"]]
    return all([e[k] for k in keys] in mine for e in want["errors"])


def main():
    words = "--words" in sys.argv
    expressions = [line.rstrip("\n") for line in sys.stdin if line.strip() and not line.startswith("#")]
    wrong = 0
    mine = {e: a for e, a in zip(expressions, ours(expressions)) if not infinite(a)}
    expressions = list(mine)
    for expr, want, got in zip(expressions, oracle.answers(expressions), mine.values()):
        if settled(expr, want) and not agree(want, got, words):
            wrong += 1
            print(f"{expr}\n  want {json.dumps(want, ensure_ascii=False)}\n  got  {json.dumps(got, ensure_ascii=False)}")
    print(f"{len(expressions)} expressions, {wrong} differ")


if __name__ == "__main__":
    main()
