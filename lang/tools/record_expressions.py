#!/usr/bin/env python3
"""Records what the reference makes of the expressions in tests/expressions/*.txt, as *.json beside them.

`additions.txt` is answered by Terraform 1.15 and `tofu.txt` by OpenTofu 1.12 (paths in TERRAFORM_1_15 and TOFU), all others by
`terraform` 1.11 on the PATH. Name files as arguments to record only those.
"""

import json
import os
import sys

import oracle
from compare import infinite, ours, settled

TOOLS = {"additions": os.environ.get("TERRAFORM_1_15"), "tofu": os.environ.get("TOFU")}


def main():
    for path in sorted(oracle.HERE.glob("*.txt")):
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        tool = TOOLS.get(path.stem, "terraform")
        if not tool:
            print(f"{path.stem}: left as it is, its tool is not named")
            continue
        expressions = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        expressions = [expr for expr, answer in zip(expressions, ours(expressions)) if not infinite(answer)]
        answers = oracle.answers(expressions, tool)
        cases = [
            {"expr": expr, **answer}
            for expr, answer in zip(expressions, answers)
            if path.stem in TOOLS or settled(expr, answer)
        ]
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
        path.with_suffix(".json").write_text(f"[\n{lines}\n]\n")
        print(f"{path.stem}: {len(cases)} of {len(expressions)}")


if __name__ == "__main__":
    main()
