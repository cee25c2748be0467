//! `eval`: what a snapshot, a run, or a folder of images is worth.

fn main() -> std::process::ExitCode {
    cli::run_main(eval::main)
}
