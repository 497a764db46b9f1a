terraform {
  required_version = ">= 1.9"

  required_providers {
    proxmox = {
      source  = "bpg/proxmox"
      version = ">= 0.80"
    }
    talos = {
      source  = "siderolabs/talos"
      version = ">= 0.11"
    }
    truenas = {
      source  = "truenas/truenas"
      version = ">= 1.1"
    }
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.81"
    }
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = ">= 2.38"
    }
    gitops = {
      source = "stead-iac/gitops"
    }
    random = {
      source  = "hashicorp/random"
      version = ">= 3.6"
    }
    tls = {
      source  = "hashicorp/tls"
      version = ">= 4.0"
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.12"
    }
    local = {
      source  = "hashicorp/local"
      version = ">= 2.5"
    }
  }
}
