//! The program `generate`: images and videos from trained networks.

fn main() -> std::process::ExitCode {
    cli::run_main(generate::main)
}
