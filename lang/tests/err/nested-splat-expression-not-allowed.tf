locals {
  a = x.*.y.*.z
}
