variable "repo_url" {
  type = string
}

variable "revision" {
  type = string
}
