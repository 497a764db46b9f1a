variable "node" {
  description = "The host that MicroK8s is installed on: Ubuntu with snapd, reached over SSH."
  type = object({
    name    = string
    address = string
    channel = optional(string, "1.34/stable")
    addons  = optional(list(string), ["hostpath-storage", "rbac", "ingress", "metallb:10.25.151.200-10.25.151.219"])
  })
  default = {
    name    = "mk8s-1"
    address = "10.25.151.11"
  }
}

variable "ssh" {
  description = "The login: by key, by password or by the SSH agent; the user is root or has sudo without a password."
  sensitive   = true
  type = object({
    user                = optional(string, "ubuntu")
    password            = optional(string)
    private_key_file    = optional(string)
    known_hosts_file    = optional(string)
    accept_new_host_key = optional(bool, false)
  })
  default = {}
}

variable "location" {
  description = "Azure's region."
  type        = string
  default     = "westeurope"
}

variable "prefix" {
  description = "Begins the names of everything in Azure."
  type        = string
  default     = "homelab"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.prefix))
    error_message = "The prefix is 2 to 10 lower-case letters and digits: it is part of a storage account's name."
  }
}

variable "apps" {
  description = "Every application: its database, and which keys of its own are made up and kept in the vault."
  type = map(object({
    database = optional(string)
    # Names of further secrets, with their length.
    secrets = optional(map(number), {})
  }))
  default = {
    linkding  = { secrets = { "superuser-password" = 24 } }
    commafeed = {}
    wallabag  = { secrets = { "app-secret" = 48 } }
    n8n       = { secrets = { "encryption-key" = 32 } }
    listmonk  = { secrets = { "admin-password" = 24 } }
  }
}

variable "environments" {
  description = "`shared` is what all stand on; the others each run some of the applications, in namespaces, vault and storage of their own."
  type = map(object({
    apps = optional(list(string), [])
    # Branch, tag or commit that the environment follows.
    revision       = optional(string, "HEAD")
    replication    = optional(string, "LRS")
    retention_days = optional(number, 7)
    purge_guard    = optional(bool, false)
  }))
  default = {
    shared = {}
    prod   = { apps = ["linkding", "commafeed", "wallabag", "n8n", "listmonk"], replication = "ZRS" }
    qa     = { apps = ["linkding", "commafeed", "wallabag", "n8n", "listmonk"] }
    dev    = { apps = ["linkding", "commafeed", "wallabag", "n8n", "listmonk"] }
  }

  validation {
    condition     = alltrue([for name in keys(var.environments) : contains(["shared", "prod", "qa", "dev"], name)])
    error_message = "The environments are shared, prod, qa and dev: gitops/ has overlays for no others."
  }
}

variable "external_secrets" {
  description = "The application (service principal) by which External Secrets reads the vaults. `object_id` is the principal's, not the application's."
  type = object({
    client_id = string
    object_id = string
  })
}

variable "external_secrets_client_secret" {
  type      = string
  sensitive = true
}

variable "sas_hours" {
  description = "How long the databases' access to their containers is good."
  type        = number
  default     = 17520
}

variable "git" {
  description = "The repository that owns the cluster after the bootstrap: what lies in gitops/, at its root. With a user and `git_password` when it is private."
  type = object({
    url      = string
    revision = optional(string, "HEAD")
    username = optional(string)
  })
  default = {
    url = "https://git.lab.stead/microk8s-azure.git"
  }
}

variable "git_password" {
  description = "A token for a private repository."
  type        = string
  default     = null
  sensitive   = true
}
