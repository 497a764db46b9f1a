variable "nodes" {
  type = map(object({
    cpu    = optional(number, 2)
    memory = number
    tags   = optional(set(string), ["z", "a"])
    nested = optional(object({ on = optional(bool, true) }), {})
  }))
  default = {
    w1 = { memory = 2048 }
    c1 = { memory = "4096", cpu = 4, tags = [], nested = { on = false } }
  }
}
variable "any" {
  default = { list = [1, "two", true, null] }
}
variable "list" {
  type    = list(any)
  default = [1, "2"]
}
locals {
  doubled   = { for k, v in var.nodes : k => v.memory * 2 if v.cpu > 1 }
  by_cpu    = { for k, v in var.nodes : v.cpu => k... }
  objects   = [{ id = 1, s = { t = "x" } }, { id = 2, s = { t = "y" } }]
  precise   = 1 / 3
  merged    = merge({ a = 1 }, { b = local.precise > 0 ? "yes" : "no" })
  key       = "dash-ed"
  unicode   = "e\u0301 ${"é"} \U0001F600"
  quoted    = "a\tb\\ \"c\" $${d} %%{e}"
  nested    = "x${"y${"z"}"}"
  lines = [
    1,
    2, # comment
    3
  ]
}
output "nodes" { value = var.nodes }
output "any" { value = var.any }
output "list" { value = var.list }
output "doubled" { value = local.doubled }
output "by_cpu" { value = local.by_cpu }
output "splats" { value = [local.objects[*].id, local.objects.*.s.t, local.objects.*.id[1], "one"[*], null[*]] }
output "precise" { value = [local.precise, local.precise * 3 == 1, 0.1 + 0.2, 1e3, 123456789012345678901234567890] }
output "merged" { value = local.merged }
output "keys" { value = { (local.key) = 1, "x-${local.key}" = 2, plain = 3, true = 4 } }
output "strings" { value = [local.unicode, local.quoted, local.nested] }
output "operators" { value = [1 + 2 * 3, -2 - -3, 7 % 3, !false && true || false, 1 == 1.0, "1" == 1, [1] == [1], 2 >= 2] }
output "conditionals" { value = [true ? 1 : "a", false ? [] : ["x"], true ? null : 5, true ? { a = 1 } : { b = "2" }] }
output "conditional_marks" {
  value = [
    issensitive(true ? "p" : sensitive("s")),
    issensitive(false ? sensitive("s") : "p"),
    issensitive(sensitive(true) ? "p" : "q"),
    issensitive(true ? null : sensitive("s")),
    issensitive(true ? ["p"] : [sensitive("s")]),
    issensitive((true ? ["p"] : [sensitive("s")])[0]),
    issensitive(true ? ["p"] : sensitive(["s"])),
    issensitive(true ? tolist(["p"]) : tolist([sensitive("s")])),
  ]
}
output "index" { value = [local.objects[0].s["t"], var.nodes["w1"].cpu, local.lines.1, { "0" = "z" }[0]] }
output "try" { value = [try(local.objects[9], "none"), can(local.objects[0].nope), try(var.nodes.c1.cpu, 0)] }
output "for_sets" { value = [for i, v in toset(["b", "a"]) : "${i}=${v}"] }
output "empty" { value = [[for x in [] : x], { for x in [] : x => x }, [], {}] }
