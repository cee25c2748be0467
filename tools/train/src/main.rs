//! `train`: StyleGAN2 with adaptive discriminator augmentation on a dataset zip.

fn main() -> std::process::ExitCode {
    cli::run_main(train::main)
}
