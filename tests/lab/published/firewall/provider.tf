terraform {
  required_providers {
    proxmox = { source = "bpg/proxmox" }
  }
}
provider "proxmox" {
  username = "root@pam"
  password = "lab-root-password"
}
