removed {
  from = null_resource.a["x"]
}
