locals {
  a = var.x.
}
