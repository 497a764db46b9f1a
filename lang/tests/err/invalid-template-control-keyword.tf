locals {
  a = "%{ foo }x"
}
