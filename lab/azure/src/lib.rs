//! stead-lab-azure
