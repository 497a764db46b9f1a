terraform {
  required_providers {
    kubernetes = {
      source = "hashicorp/kubernetes"
    }
    gitops = {
      source = "stead-iac/gitops"
    }
    random = {
      source = "hashicorp/random"
    }
    tls = {
      source = "hashicorp/tls"
    }
  }
}
