//! The C face of Ravelin.
#![no_std]
