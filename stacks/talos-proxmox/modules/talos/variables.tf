variable "cluster" {
  type = object({
    name               = string
    vip                = string
    network            = string
    dns                = list(string)
    domain             = string
    talos_version      = string
    kubernetes_version = string
  })
}

variable "nodes" {
  type = map(object({
    role      = string
    address   = string
    gpu       = bool
    labels    = map(string)
    installer = string
  }))
}

variable "cilium_manifest" {
  description = "YAML documents."
  type        = string
}

variable "snapshots" {
  description = "Where snapshots of etcd are kept, how often the next apply takes one, and how many are kept."
  type = object({
    directory = string
    azure_blob = optional(object({
      storage_account_name = string
      container_name       = string
      prefix               = optional(string)
      resource_group_name  = optional(string)
      use_azuread_auth     = optional(bool)
    }))
    s3 = optional(object({
      bucket         = string
      prefix         = optional(string)
      region         = optional(string)
      endpoint       = optional(string)
      use_path_style = optional(bool)
      profile        = optional(string)
    }))
    every = string
    keep  = number
  })
}
