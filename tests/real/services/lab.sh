# The lab's Azure and Kubernetes. There is nothing to install or to start: the tests bring them; here they share them with terraform.

install() { :; }
start() { :; }
stop() { :; }
