moved {
  from = null_resource.a
  to = module.x
}
