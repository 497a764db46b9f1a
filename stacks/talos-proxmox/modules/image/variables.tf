variable "talos_version" {
  type = string
}

variable "datastore" {
  description = "A storage with the content type import."
  type        = string
}

variable "images" {
  type = map(object({
    host = string
    kind = string
  }))
}
