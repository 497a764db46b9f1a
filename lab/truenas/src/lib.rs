//! stead-lab-truenas
