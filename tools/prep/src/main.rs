//! `prep`: from a folder of illustrations to a clean dataset zip of faces.

fn main() -> std::process::ExitCode {
    cli::run_main(prep::main)
}
