variable "cluster" {
  type = string
}

variable "nodes" {
  type = map(object({
    host      = string
    role      = string
    address   = string
    vm_id     = number
    cpu       = number
    memory    = number
    disk      = number
    datastore = optional(string)
    gpu       = optional(string)
  }))
}

variable "gpus" {
  type = map(object({
    host         = string
    path         = string
    id           = string
    subsystem_id = optional(string)
    iommu_group  = optional(number)
  }))
}

variable "datastore" {
  description = "A storage with the content type images, for disks and cloud-init drives."
  type        = string
}

variable "bridge" {
  type    = string
  default = "vmbr0"
}

variable "network" {
  type = object({
    prefix  = string
    gateway = string
    dns     = list(string)
  })
}

variable "image_ids" {
  description = "By machine."
  type        = map(string)
}
