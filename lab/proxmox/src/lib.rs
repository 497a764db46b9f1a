//! stead-lab-proxmox
