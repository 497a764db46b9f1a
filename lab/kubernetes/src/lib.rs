//! stead-lab-kubernetes
