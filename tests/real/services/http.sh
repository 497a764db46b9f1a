# A server of Terraform's HTTP protocol. There is nothing to install or to start: the tests bring it.

install() { :; }
start() { :; }
stop() { :; }
