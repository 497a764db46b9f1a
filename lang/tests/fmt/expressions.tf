a=-1
b=1-2
c=a -b
d=!  a
e=f (1,2 , 3 ...)
g=a . b . c[0] [1]
h=a?b:c
i=[for x in y:x if x!=null]
j={for k,v in m:k=>v...}
k=[for x in [1]:x]
l="${   a  }b${ {a=1} }%{ if true }x%{ endif ~}"
m=provider :: foo :: bar(1)
n=a[*] . b
o=a . * . b
p=(1+2)*3/4%5
q=a==b&&c!=d||e>=f
r=[1,2,3,]
s={
a=1
bb=2,
"ccc"=3
(d)=4
  eeee : 5
}
t=foo({
a=1
},[
2
])
u=[
{a=1},
{
b=2
}
]
v = foo(a,
b,
c)
w = - 1 * -2
x = [-1, - 1]
y = a >= -1 ? - b : - c
z = in [1]
aa = for_each ["x"]
ab = f(- 1)
ac = 1 [0]
ad = "a" [0]
ae = a  [0]  . b
