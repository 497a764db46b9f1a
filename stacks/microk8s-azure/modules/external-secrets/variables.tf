variable "cluster" {
  description = "The first node's name: known when it is there."
  type        = string
}

variable "repo_url" {
  type = string
}

variable "revision" {
  type = string
}

variable "tenant_id" {
  type = string
}

variable "client_id" {
  type = string
}

variable "client_secret" {
  type      = string
  sensitive = true
}

variable "vaults" {
  description = "Addresses by environment."
  type        = map(string)
}
