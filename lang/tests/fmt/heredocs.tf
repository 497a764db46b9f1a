a=<<EOT
   text ${   x+1 }
 %{ if x~}
  y
 %{ endif }
  EOT
b = <<-E
    a
      b
    E
cc = foo(<<EOT
x
EOT
,1)
d={
x=<<EOT
y
EOT
z=1
}
block {
e = [
<<EOT
1
EOT
, 2]
f=1
}
