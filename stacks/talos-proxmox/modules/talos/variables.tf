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
    every     = string
    keep      = number
  })
}
