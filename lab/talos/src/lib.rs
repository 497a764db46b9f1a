//! stead-lab-talos
