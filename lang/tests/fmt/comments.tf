#a
//b
/* c */
/* d
 e */ a=1
b=2#x
cc=3//yy
ddd=4/* z */
e {#q
f=1#r

ggg=1 # s
# t
h=1
}
i = [ # u
1, # v
22,# w
  # x
]
j=1 /* a */ + /* b */ 2
   # indented
k = { # y
a=1 # z
bbb=2
}
