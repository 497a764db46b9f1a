variable "source" {}
variable "1a" {}
