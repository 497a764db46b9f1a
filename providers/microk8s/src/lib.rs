//! stead-microk8s
