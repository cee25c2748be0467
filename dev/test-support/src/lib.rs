//! Test helpers: tolerances, finite differences, golden data.

pub mod drawn;
pub mod faces;
pub mod fuzz;
pub mod zips;
