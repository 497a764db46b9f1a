variable "cluster" {
  description = "The first node's name: known when it is there."
  type        = string
}

variable "manifest" {
  description = "Path of the install manifest."
  type        = string
}

variable "git" {
  type = object({
    url      = string
    revision = string
    username = optional(string)
    password = optional(string)
  })
}
