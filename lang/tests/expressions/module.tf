# The module in which the expressions are evaluated: variables have their types even while Terraform validates.
variable "us" { type = string }
variable "un" { type = number }
variable "ub" { type = bool }
variable "ul" { type = list(string) }
variable "uset" { type = set(string) }
variable "um" { type = map(string) }
variable "ut" { type = tuple([string, number]) }
variable "uo" { type = object({ a = string, b = number, c = list(string) }) }
variable "ulo" { type = list(object({ a = string, b = number, c = list(string) })) }
variable "ud" { type = any }

locals {
  us   = var.us
  un   = var.un
  ub   = var.ub
  ul   = var.ul
  uset = var.uset
  um   = var.um
  ut   = var.ut
  uo   = var.uo
  ulo  = var.ulo
  ud   = var.ud
}
