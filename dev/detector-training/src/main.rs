//! Trains the face detector that ships inside `prep`.
//!
//! `label-images` writes pseudo-labels, `train` trains the weights, `average` joins those of two trainings, `evaluate`
//! measures them; the recipe is in `crates/detect/README.md`.

use std::process::ExitCode;

mod args;
mod average;
mod canvas;
mod color;
mod commands;
mod compose;
mod cover;
mod evaluate;
mod label;
mod loss;
mod material;
mod network;
mod optimizer;
mod prints;
mod random;
mod shapes;
mod sources;
mod targets;
mod train;

fn main() -> ExitCode {
    cli::run_main(commands::run)
}
