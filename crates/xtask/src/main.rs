//! Development programs.

fn main() {}
