//! stead-proxmox
