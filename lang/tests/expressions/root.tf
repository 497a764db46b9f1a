# The values that the expressions of this folder can name: unknown ones of every kind.
resource "terraform_data" "s" { input = "x" }
resource "terraform_data" "n" { input = 1 }
resource "terraform_data" "b" { input = true }
resource "terraform_data" "l" { input = tolist(["x"]) }
resource "terraform_data" "set" { input = toset(["x"]) }
resource "terraform_data" "m" { input = tomap({ x = "x" }) }
resource "terraform_data" "t" { input = ["x", 1] }
resource "terraform_data" "o" { input = { a = "x", b = 1, c = tolist(["x"]) } }
resource "terraform_data" "lo" { input = tolist([{ a = "x", b = 1, c = tolist(["x"]) }]) }

module "e" {
  source = "./e"
  us     = terraform_data.s.output
  un     = terraform_data.n.output
  ub     = terraform_data.b.output
  ul     = terraform_data.l.output
  uset   = terraform_data.set.output
  um     = terraform_data.m.output
  ut     = terraform_data.t.output
  uo     = terraform_data.o.output
  ulo    = terraform_data.lo.output
  ud     = jsondecode(terraform_data.s.output)
}
