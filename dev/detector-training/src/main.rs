//! Trains the face detector that ships inside `prep`.
//!
//! `label-images` writes pseudo-labels, `mistakes` the false detections of a model, `train` trains the weights,
//! `average` averages those of two trainings, and `evaluate` measures them. The recipe is in `crates/detect/README.md`.

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
