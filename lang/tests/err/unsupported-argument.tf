terraform {
  foo = 1
  bar {}
}
