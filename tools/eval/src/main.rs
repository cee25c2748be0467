//! The program `eval`: measures the quality of snapshots, runs and folders of images.

fn main() -> std::process::ExitCode {
    cli::run_main(eval::main)
}
