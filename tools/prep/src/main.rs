//! `prep`: makes a clean dataset zip of faces from a folder of illustrations.

fn main() -> std::process::ExitCode {
    cli::run_main(prep::main)
}
