//! Trains the face detector that ships inside `prep`.
//!
//! `label` asks a teacher for boxes, `train` makes the weights, `evaluate` measures them; the recipe is in
//! `crates/detect/README.md`.

use std::process::ExitCode;

mod args;
mod canvas;
mod colour;
mod compose;
mod evaluate;
mod label;
mod loss;
mod network;
mod optimizer;
mod sources;
mod targets;
mod train;

fn main() -> ExitCode {
    cli::run_main(args::run)
}
