a = 1
bb=2 # c

c {
  d=<<EOT
  x ${ y }
EOT
}
