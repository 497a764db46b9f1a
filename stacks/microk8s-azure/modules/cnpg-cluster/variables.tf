variable "environment" {
  type = string
}

variable "apps" {
  type = list(string)
}

variable "containers" {
  description = "Addresses of the blob containers, by application."
  type        = map(string)
}

variable "retention_days" {
  type = number
}

variable "repo_url" {
  type = string
}

variable "revision" {
  type = string
}

variable "secret_store" {
  description = "Name of the environment's ClusterSecretStore."
  type        = string
}
