locals {
  a = "%{ endif }x"
}
