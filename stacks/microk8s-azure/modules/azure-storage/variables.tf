variable "name" {
  description = "Unique in the world, 3 to 24 lower-case letters and digits."
  type        = string

  validation {
    condition     = length(var.name) <= 24
    error_message = "A storage account's name has at most 24 characters: choose a shorter prefix."
  }
}

variable "resource_group" {
  type = string
}

variable "location" {
  type = string
}

variable "replication" {
  type = string
}

variable "sas_hours" {
  type = number
}

variable "apps" {
  type = list(string)
}

variable "key_vault_id" {
  description = "Where the access is kept."
  type        = string
}

variable "tags" {
  type = map(string)
}
