variable "cluster_id" {
  description = "Of the health check: nothing goes into the cluster before it is known."
  type        = string
}

variable "cluster_name" {
  type = string
}

variable "argo_manifest" {
  description = "Path of the pinned install manifest."
  type        = string
}

variable "git" {
  type = object({
    url      = string
    revision = string
    path     = string
    username = optional(string)
    password = optional(string)
  })
}

variable "proxmox_csi" {
  sensitive = true
  type = object({
    url          = string
    token_id     = string
    token_secret = string
    region       = string
  })
}

variable "backup_enabled" {
  description = "Decides what exists, which a sensitive value such as `backup` may not."
  type        = bool
}

variable "backup" {
  description = "The Azure container for copies of dumps."
  sensitive   = true
  type = object({
    url = string
    sas = string
  })
  default = null
}
