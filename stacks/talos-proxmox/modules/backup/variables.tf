variable "name" {
  type = string
}

variable "location" {
  type = string
}

variable "retention_days" {
  description = "How long a deleted secret can be brought back: 7 to 90."
  type        = number
}

variable "sas_hours" {
  type = number
}

variable "tags" {
  type = map(string)
}
