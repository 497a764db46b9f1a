

resource aws_instance  web   /* c */ {
ami="a"
    instance_type   =    "t" # one
  count=2    // two
      tags={a=1,b=2}
  long_name_here = [1,2,
  3]
  x=1
  yy = 2

  zzz=3
  lifecycle{create_before_destroy=true}
  nested   "label\u00e9\t"   {}
  nested "a" /* gone */ "b" { }


}
variable "a"{
type="string"
  default="${var.x}"
}
variable "b" {
type = list
description = "x"
}
variable "c" {
  type = "map"
}
variable "d" {
  type = set
  validation {
  type = "list"
  condition = "${var.d}"
  }
}
variable "e" { type = "list" }
locals{
a="${b}"
b="${"${c}"}"
c="${a}${b}"
d="${
  a + b
}"
e="${(
 a)}"
f="${a}" == "${b}"
g="x${a}"
h = "${ true ? 1 :
 2 }"
i={ k = "${v}" }
}
module m { source="./m" } # end
