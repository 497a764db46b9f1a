terraform {
  required_providers {
    gitops = {
      source = "stead-iac/gitops"
    }
    kubernetes = {
      source = "hashicorp/kubernetes"
    }
  }
}
