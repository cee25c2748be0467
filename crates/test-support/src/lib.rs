//! Test helpers: tolerances, finite differences, golden data.
