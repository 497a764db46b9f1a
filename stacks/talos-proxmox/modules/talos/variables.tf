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
