locals {
  x = "a" "b"
}
