variable "proxmox_endpoint" {
  description = "Any node of the Proxmox VE cluster."
  type        = string
  default     = "https://10.25.150.101:8006"
}

variable "cluster" {
  description = "The Kubernetes cluster. The VIP must be free, and outside of the DHCP range."
  type = object({
    name               = string
    vip                = string
    gateway            = string
    network            = string
    dns                = optional(list(string), ["1.1.1.1", "9.9.9.9"])
    domain             = optional(string, "kube.pc-tips.se")
    talos_version      = string
    kubernetes_version = string
  })
  default = {
    name               = "homelab"
    vip                = "10.25.150.10"
    gateway            = "10.25.150.1"
    network            = "10.25.150.0/24"
    talos_version      = "v1.13.9"
    kubernetes_version = "v1.36.3"
  }

  validation {
    condition     = can(cidrhost(var.cluster.network, 1))
    error_message = "cluster.network must be a network in CIDR form, such as 10.25.150.0/24."
  }
  validation {
    condition     = can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+", var.cluster.talos_version))
    error_message = "cluster.talos_version must be a full version, such as v1.13.9."
  }
}

variable "snapshots" {
  description = "Snapshots of etcd, of which `stead recover` builds a lost control plane: their folder (best on another machine's disk), or the container of Azure's or bucket of S3 that they go to instead, how old the newest may be before the next apply takes another, and how many are kept. null: none."
  type = object({
    directory = optional(string, "output/etcd")
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
    every = optional(string, "24h")
    keep  = optional(number, 7)
  })
  default = {}
}

variable "nodes" {
  description = "The machines, by name. `host` is the Proxmox node; `gpu` names a key of `gpus`."
  type = map(object({
    host      = string
    role      = string
    address   = string
    vm_id     = number
    cpu       = optional(number, 4)
    memory    = optional(number, 4096)
    disk      = optional(number, 40)
    datastore = optional(string)
    gpu       = optional(string)
    labels    = optional(map(string), {})
  }))
  default = {
    "ctrl-00" = { host = "abel", role = "controlplane", address = "10.25.150.11", vm_id = 8011, memory = 2480 }
    "ctrl-01" = { host = "cantor", role = "controlplane", address = "10.25.150.12", vm_id = 8012, memory = 2480 }
    "ctrl-02" = { host = "euclid", role = "controlplane", address = "10.25.150.13", vm_id = 8013, memory = 2480 }
    "work-00" = { host = "abel", role = "worker", address = "10.25.150.31", vm_id = 8031, cpu = 8, memory = 8192, disk = 80, gpu = "media" }
    "work-01" = { host = "cantor", role = "worker", address = "10.25.150.32", vm_id = 8032, memory = 6144, disk = 80 }
  }

  validation {
    condition     = alltrue([for node in values(var.nodes) : contains(["controlplane", "worker"], node.role)])
    error_message = "The role of a node is controlplane or worker."
  }
  validation {
    condition     = length([for node in values(var.nodes) : node if node.role == "controlplane"]) % 2 == 1
    error_message = "etcd wants an odd number of control planes."
  }
  validation {
    condition     = length(distinct(values(var.nodes)[*].address)) == length(var.nodes) && length(distinct(values(var.nodes)[*].vm_id)) == length(var.nodes)
    error_message = "Two nodes have the same address or the same vm_id."
  }
}

variable "gpus" {
  description = "PCI devices that Proxmox passes through, by the name of their mapping (`lspci -nn` on the host tells the ids)."
  type = map(object({
    host         = string
    path         = string
    id           = string
    subsystem_id = optional(string)
    iommu_group  = optional(number)
  }))
  default = {
    media = {
      host         = "abel"
      path         = "0000:01:00.0"
      id           = "10de:1eb8"
      subsystem_id = "10de:12a2"
      iommu_group  = 16
    }
  }
}

variable "datastores" {
  description = "Proxmox storages: `image` needs the content type import, `vm` the content type images."
  type = object({
    image = optional(string, "local")
    vm    = optional(string, "local-lvm")
  })
  default = {}
}

variable "truenas" {
  description = "The TrueNAS appliance: its address as the nodes see it, and the pool that volumes live in."
  type = object({
    endpoint = string
    address  = string
    pool     = string
    parent   = optional(string, "k8s")
  })
  default = {
    endpoint = "https://10.25.150.20"
    address  = "10.25.150.20"
    pool     = "tank"
  }
}

variable "volumes" {
  description = "Datasets below POOL/PARENT, each with an NFS share for the cluster's network. The CSI driver makes folders in `dynamic`."
  type = map(object({
    comment     = string
    quota_gib   = optional(number)
    compression = optional(string, "LZ4")
    read_only   = optional(bool, false)
  }))
  default = {
    dynamic = { comment = "Volumes that the CSI driver provisions", quota_gib = 500 }
    media   = { comment = "Films, series and music", compression = "OFF" }
    backups = { comment = "Dumps of the databases", quota_gib = 200, compression = "ZSTD" }
  }
}

variable "proxmox_csi" {
  description = "The token that the Proxmox CSI driver attaches disks with: a user of its own with the role `CSI`, see README."
  sensitive   = true
  type = object({
    token_id     = string
    token_secret = string
  })
}

variable "backup" {
  description = "Azure Key Vault and Blob Storage for what a lost cluster is rebuilt from. `null`: no backups in Azure."
  type = object({
    location       = optional(string, "westeurope")
    retention_days = optional(number, 7)
    # Of the access that the cluster gets to the container.
    sas_hours = optional(number, 17520)
    tags      = optional(map(string), {})
  })
  default = {}
}

variable "git" {
  description = "The repository that owns the cluster after the bootstrap: what lies in gitops/, at `path`. With a password or a key when it is private."
  type = object({
    url      = string
    revision = optional(string, "HEAD")
    path     = optional(string, "k8s")
    username = optional(string)
  })
  default = {
    url = "https://git.lab.stead/talos-proxmox.git"
  }
}

variable "git_password" {
  description = "A token for a private repository."
  type        = string
  default     = null
  sensitive   = true
}
