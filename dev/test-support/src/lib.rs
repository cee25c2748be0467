//! Test helpers: synthetic illustrations and datasets, fuzzing of parsers, and zips with unusual names.

pub mod drawn;
pub mod faces;
pub mod fuzz;
pub mod zips;
