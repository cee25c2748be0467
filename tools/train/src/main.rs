//! The program `train`: trains StyleGAN2 with adaptive discriminator augmentation on a dataset.

fn main() -> std::process::ExitCode {
    cli::run_main(train::main)
}
