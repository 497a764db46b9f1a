#!/usr/bin/env python3
"""Prints random expressions for compare.py: `generate.py COUNT SEED`.

They are well-formed; most are well-typed, some are not. All kinds of values meet all operators and functions: null, unknown
(`local.u…`, see tests/expressions/locals.tf), sensitive, empty, mixed.
"""

import random
import sys

STRINGS = ["", "a", "b", "ab", "Hello", "true", "false", "1", "12", "-3.5", "1e3", " x ", "a,b,c", "é", "日本", "x\\ny", "0x1F", "null", "$${x}", "a.b", "aAbB", "10.0.0.0/8", "2024-01-02T03:04:05Z"]
NUMBERS = ["0", "1", "2", "3", "-1", "10", "0.5", "1.5", "-2.5", "100", "1e3", "0.1", "1e20", "12345678901234567890"]


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.names = []

    def pick(self, *options):
        return self.r.choice(options)

    def expr(self, ty, depth):
        r = self.r.random()
        if r < 0.04:
            return self.anything(depth)
        if r < 0.06:
            return "null"
        if r < 0.08:
            return "local.ud"
        if depth > 0:
            if r < 0.14:
                return f"sensitive({self.expr(ty, depth - 1)})"
            if r < 0.19:
                return f"({self.expr('bool', depth - 1)} ? {self.expr(ty, depth - 1)} : {self.expr(self.like(ty), depth - 1)})"
            if r < 0.22:
                return f"try({self.expr(ty, depth - 1)}, {self.expr(ty, depth - 1)})"
            if r < 0.24:
                return f"coalesce({self.expr(ty, depth - 1)}, {self.expr(ty, depth - 1)})"
            if r < 0.27:
                return f"element({self.expr('list', depth - 1)}, {self.pick('0', '1', '5', 'local.un')})"
            if r < 0.29:
                return f"{self.expr('list', depth - 1)}[{self.pick('0', '1', 'local.un', self.expr('number', depth - 1))}]"
            if r < 0.31:
                key = self.pick('"a"', '"b"', "local.us", self.expr("string", depth - 1))
                return f"{self.expr('map', depth - 1)}[{key}]"
            if r < 0.33:
                return f"lookup({self.expr('map', depth - 1)}, {self.expr('string', 0)}, {self.expr(ty, depth - 1)})"
            if r < 0.34:
                return f"one({self.expr('list', depth - 1)})"
        if self.names and r > 0.93:
            return self.r.choice(self.names)
        return getattr(self, ty)(depth)

    def like(self, ty):
        return ty if self.r.random() < 0.8 else self.pick("string", "number", "bool", "list", "map", "object", "set")

    def anything(self, depth):
        ty = self.pick("string", "number", "bool", "list", "map", "object", "set")
        return getattr(self, ty)(depth)

    def string(self, depth):
        if depth <= 0 or self.r.random() < 0.3:
            return self.pick("local.us", f'"{self.r.choice(STRINGS)}"', f'"{self.r.choice(STRINGS)}"')
        d = depth - 1
        s = lambda: self.expr("string", d)
        n = lambda: self.expr("number", d)
        return self.pick(
            lambda: f'"{self.r.choice(STRINGS)}${{{s()}}}{self.r.choice(STRINGS)}"',
            lambda: f'"${{{s()}}}"',
            lambda: f'"${{{s()}}}${{{n()}}}"',
            lambda: f'"%{{ if {self.expr("bool", d)} }}{self.r.choice(STRINGS)}%{{ else }}${{{s()}}}%{{ endif }}"',
            lambda: f'"x%{{ for v in {self.expr("list", d)} }}${{v}},%{{ endfor }}"',
            lambda: f"upper({s()})", lambda: f"lower({s()})", lambda: f"trimspace({s()})", lambda: f"title({s()})",
            lambda: f"strrev({s()})", lambda: f"chomp({s()})", lambda: f"md5({s()})", lambda: f"base64encode({s()})",
            lambda: f"base64decode({s()})", lambda: f"urlencode({s()})", lambda: f"trim({s()}, {s()})",
            lambda: f"trimprefix({s()}, {s()})", lambda: f"trimsuffix({s()}, {s()})",
            lambda: f"replace({s()}, {s()}, {s()})", lambda: f'replace({s()}, "/[a-b]+/", "<$0>")',
            lambda: f"substr({s()}, {n()}, {n()})", lambda: f"indent({n()}, {s()})", lambda: f"tostring({self.anything(d)})",
            lambda: f"join({s()}, {self.expr('list', d)})", lambda: f"join({s()}, {self.expr('list', d)}, {self.expr('list', d)})",
            lambda: f"jsonencode({self.anything(d)})", lambda: f"yamlencode({self.anything(d)})",
            lambda: f'format("{self.pick("%s", "%d-%s", "%v", "%q", "%5s", "%-5s|", "%05d", "%.2f", "%t", "%x", "pre-%s", "%#v", "%%%s", "%s-%s", "%+d", "%e", "%g", "%b", "%o", "%[2]s%[1]s", "%*d", "%")}", {self.anything(d)}{self.pick("", ", " + s())})',
            lambda: f'regex("{self.pick("[a-z]+", "b", "^", "(.)b", "x*")}", {s()})',
        )()

    def number(self, depth):
        if depth <= 0 or self.r.random() < 0.3:
            return self.pick("local.un", self.r.choice(NUMBERS), self.r.choice(NUMBERS), self.r.choice(NUMBERS))
        d = depth - 1
        n = lambda: self.expr("number", d)
        s = lambda: self.expr("string", d)
        return self.pick(
            lambda: f"{n()} + {n()}", lambda: f"({n()} - {n()})", lambda: f"{n()} * {n()}", lambda: f"({n()} / {n()})",
            lambda: f"({n()} % {n()})", lambda: f"-{n()}", lambda: f"abs({n()})", lambda: f"ceil({n()})",
            lambda: f"floor({n()})", lambda: f"max({n()}, {n()})", lambda: f"min({n()}, {n()})", lambda: f"min({n()})",
            lambda: f"signum({n()})", lambda: f"length({self.anything(d)})", lambda: f"length({s()})",
            lambda: f"tonumber({self.anything(d)})", lambda: f"parseint({s()}, {self.pick('10', '16', '2', n())})",
            lambda: f"sum({self.expr('list', d)})", lambda: f"sum([{n()}, {n()}])", lambda: f"index({self.expr('list', d)}, {s()})",
            lambda: f"max({self.expr('list', d)}...)", lambda: f"pow({n()}, {self.pick('2', '0', '0.5')})",
        )()

    def bool(self, depth):
        if depth <= 0 or self.r.random() < 0.2:
            return self.pick("true", "false", "local.ub", "true", "false")
        d = depth - 1
        n = lambda: self.expr("number", d)
        s = lambda: self.expr("string", d)
        b = lambda: self.expr("bool", d)
        return self.pick(
            lambda: f"{b()} && {b()}", lambda: f"({b()} || {b()})", lambda: f"!{b()}",
            lambda: f"({n()} {self.pick('<', '<=', '>', '>=', '==', '!=')} {n()})",
            lambda: f"({self.anything(d)} {self.pick('==', '!=')} {self.anything(d)})",
            lambda: f"({s()} {self.pick('==', '!=')} {s()})", lambda: f"({self.anything(d)} == null)", lambda: f"(null != {self.anything(d)})",
            lambda: f"contains({self.expr('list', d)}, {s()})", lambda: f"can({self.anything(d)})", lambda: f"can({s()})",
            lambda: f"startswith({s()}, {s()})", lambda: f"endswith({s()}, {s()})", lambda: f"strcontains({s()}, {s()})",
            lambda: f"tobool({self.anything(d)})", lambda: f"alltrue([{b()}, {b()}])", lambda: f"anytrue([{b()}, {b()}])",
            lambda: f"issensitive({self.anything(d)})",
        )()

    def list(self, depth):
        if depth <= 0:
            return self.pick("local.ul", "[]", '["a", "b"]', "local.ut", '["a", 1]', 'tolist(["b", "a"])', "[1, 2, 3]", "local.ulo", "local.uset", "[local.us]")
        d = depth - 1
        l = lambda: self.expr("list", d)
        ty = self.pick("string", "number", "bool", "object", "list")
        item = lambda: self.expr(ty, d)
        m = lambda: self.expr("map", d)
        return self.pick(
            lambda: f"[{item()}, {item()}]", lambda: f"[{item()}]", lambda: f"[{item()}, {self.anything(d)}]",
            lambda: f"tolist({self.pick(l, lambda: self.expr('set', d))()})", lambda: f"tolist([{item()}, {item()}])",
            lambda: f"concat({l()}, {l()})", lambda: f"concat({l()})", lambda: f"reverse({l()})", lambda: f"distinct({l()})", lambda: f"compact({l()})",
            lambda: f"flatten([{l()}, {l()}])", lambda: f"flatten({l()})", lambda: f"slice({l()}, 0, {self.pick('1', '2', 'local.un')})",
            lambda: f"sort({l()})", lambda: f"chunklist({l()}, {self.pick('1', '2', '0')})", lambda: f"keys({m()})", lambda: f"values({m()})",
            lambda: f"range({self.pick('3', '0', '1, 4', '5, 0, -2', self.expr('number', d))})", lambda: f"split({self.expr('string', d)}, {self.expr('string', d)})",
            lambda: f"coalescelist({l()}, {l()})", lambda: f"setproduct({l()}, {l()})", lambda: f"matchkeys({l()}, {l()}, {l()})",
            lambda: f"{self.expr('map', d)}[*]", lambda: f"{l()}[*]", lambda: f"{l()}[*].a", lambda: f"{self.expr('object', d)}[*].a", lambda: f"{l()}.*.a",
            lambda: self.comprehension(d, "[", "]"), lambda: self.comprehension(d, "[", "]"),
            lambda: f'regexall("[a-z]", {self.expr("string", d)})', lambda: f'formatlist("{self.pick("%s", "%s-%s", "x")}", {l()}{self.pick("", ", " + self.anything(d))})',
        )()

    def comprehension(self, d, opening, closing):
        source = self.expr(self.pick("list", "map", "set", "object"), d)
        v, k = self.pick("v", "w"), self.pick("k", "i")
        both = self.r.random() < 0.4
        self.names.append(v)
        if both:
            self.names.append(k)
        saved = list(self.names)
        if opening == "[":
            body = self.expr(self.pick("string", "number", "list"), d) if self.r.random() < 0.6 else v
        else:
            group = "..." if self.r.random() < 0.25 else ""
            key = k if both else f'"${{{v}}}"'
            body = f"{key} => {self.expr('string', d) if self.r.random() < 0.5 else v}{group}"
        condition = f" if {self.expr('bool', d)}" if self.r.random() < 0.3 else ""
        self.names = saved[: len(saved) - (2 if both else 1)]
        return f"{opening}for {k + ', ' if both else ''}{v} in {source} : {body}{condition}{closing}"

    def set(self, depth):
        if depth <= 0:
            return self.pick("local.uset", 'toset(["a", "b"])', "toset([])", 'toset(["b", local.us])', "toset([1, 2])")
        d = depth - 1
        s = lambda: self.expr("set", d)
        return self.pick(
            lambda: f"toset({self.expr('list', d)})", lambda: f"setunion({s()}, {s()})", lambda: f"setintersection({s()}, {s()})",
            lambda: f"setsubtract({s()}, {s()})", lambda: f"setproduct({s()}, {s()})", lambda: f"toset([{self.expr('object', d)}, {self.expr('object', d)}])",
        )()

    def map(self, depth):
        if depth <= 0:
            return self.pick("local.um", "{}", '{ a = "x" }', '{ a = "x", b = "y" }', "tomap({})", 'tomap({ a = "1" })', "local.uo", "{ b = 2, a = 1 }")
        d = depth - 1
        m = lambda: self.expr("map", d)
        e = lambda: self.expr("string", d)
        return self.pick(
            lambda: f"{{ a = {e()}, b = {e()} }}", lambda: f"{{ ({self.expr('string', d)}) = {e()} }}", lambda: f'{{ "{self.r.choice(STRINGS)}" = {self.anything(d)} }}',
            lambda: f"tomap({m()})", lambda: f"merge({m()}, {m()})", lambda: f"merge({m()}, null, {m()})", lambda: f"merge([{m()}, {m()}]...)",
            lambda: f"zipmap({self.expr('list', d)}, {self.expr('list', d)})", lambda: f"transpose({m()})",
            lambda: self.comprehension(d, "{", "}"), lambda: self.comprehension(d, "{", "}"),
        )()

    def object(self, depth):
        if depth <= 0:
            return self.pick("local.uo", "{}", '{ a = "x" }', "{ a = 1, b = null }", '{ a = sensitive("s") }', "{ a = [1, 2] }")
        d = depth - 1
        return self.pick(
            lambda: f"{{ a = {self.anything(d)}, b = {self.anything(d)} }}", lambda: f"{{ a = {self.anything(d)} }}",
            lambda: f"merge({self.expr('object', d)}, {self.expr('object', d)})", lambda: f"jsondecode(jsonencode({self.anything(d)}))",
            lambda: f"yamldecode(yamlencode({self.anything(d)}))", lambda: f"{self.expr('list', d)}[0]",
        )()


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    generator = Generator(seed)
    seen = set()
    while len(seen) < count:
        generator.names = []
        expr = generator.anything(generator.r.randint(1, 3))
        if len(expr) < 300 and expr not in seen:
            seen.add(expr)
            print(expr)


if __name__ == "__main__":
    main()
