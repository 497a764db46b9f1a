variable "environment" {
  type = string
}

variable "name" {
  description = "Unique in the world, 3 to 24 letters, digits and dashes."
  type        = string

  validation {
    condition     = length(var.name) <= 24
    error_message = "A vault's name has at most 24 characters: choose a shorter prefix."
  }
}

variable "resource_group" {
  type = string
}

variable "location" {
  type = string
}

variable "tenant_id" {
  type = string
}

variable "writer" {
  description = "Object id of whoever runs this."
  type        = string
}

variable "reader" {
  description = "Object id of External Secrets' principal."
  type        = string
}

variable "retention_days" {
  type = number
}

variable "purge_guard" {
  description = "Forbids purging the vault and its secrets before their time. Cannot be taken back."
  type        = bool
}

variable "apps" {
  type = map(object({
    database = optional(string)
    secrets  = map(number)
  }))
}

variable "secrets_version" {
  description = "Raise it to write all generated secrets again."
  type        = number
  default     = 1
}

variable "tags" {
  type = map(string)
}
