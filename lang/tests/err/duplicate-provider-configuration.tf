provider "null" { alias = "x" }
provider "null" { alias = "x" }
