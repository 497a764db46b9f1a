variable "pool" {
  type = string
}

variable "parent" {
  description = "The dataset below the pool that holds all others."
  type        = string
}

variable "network" {
  description = "Who may mount, in CIDR form."
  type        = string
}

variable "volumes" {
  type = map(object({
    comment     = string
    quota_gib   = optional(number)
    compression = string
    read_only   = bool
  }))
}
