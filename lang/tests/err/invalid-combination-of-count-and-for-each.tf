resource "null_resource" "b" {
  count = 1
  for_each = 2
}
