terraform {
  required_providers {
    talos = {
      source = "siderolabs/talos"
    }
  }
}
