resource "terraform_data" "a" {
  lifecycle {
    foo = 1
    create_before_destroy = "x"
  }
}
