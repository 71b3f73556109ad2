//! The gateway among real neighbours.
