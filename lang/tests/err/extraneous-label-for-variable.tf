variable "a" "b" {}
variable {}
output "x" {
  value = 1
  foo = 2
}
