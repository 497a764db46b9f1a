terraform {
  required_version = ">= 1.11"

  required_providers {
    microk8s = {
      source = "stead-iac/microk8s"
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
