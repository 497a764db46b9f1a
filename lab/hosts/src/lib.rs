//! stead-lab-hosts
