//! stead-lab
