terraform {
  required_providers {
    truenas = {
      source = "truenas/truenas"
    }
  }
}
