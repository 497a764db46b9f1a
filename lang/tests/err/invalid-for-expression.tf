locals {
  a = [for x in [1]: x => x]
  b = {for x in [1]: x}
  c = [for x [1]: x]
}
