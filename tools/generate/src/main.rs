//! `generate`: images and films from trained networks.

fn main() -> std::process::ExitCode {
    cli::run_main(generate::main)
}
