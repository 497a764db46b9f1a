resource "terraform_data" "a" {
  provider = foo
  input = "x"
}
resource "terraform_data" "a" {
}
