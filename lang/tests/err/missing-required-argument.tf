moved {
  from = null_resource.a
}
