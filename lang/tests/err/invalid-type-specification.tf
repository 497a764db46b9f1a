variable "x" {
  type = strin
  default = 1
}
variable "y" {
  type = list
  default = {}
}
