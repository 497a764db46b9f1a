locals {
  a = 5 & 6
}
