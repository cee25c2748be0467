//! Generates images from `ws` batch by batch, while another thread writes the files.

use anyhow::Context;
use candle_core::Tensor;
use networks::{NoiseMode, SynthesisOptions, noise_key};
use rng::RandomState;

use crate::args::Noise;
use crate::model::Model;
use crate::output_image::OutputImage;

/// Generates the images of a batch of `ws`, `[batch, num_ws, w_dim]`. `noise_seeds` has one seed for each image; it is
/// used for random noise only.
pub fn synthesize(
    model: &Model,
    ws: &Tensor,
    noise: Noise,
    noise_seeds: &[u32],
) -> anyhow::Result<Vec<OutputImage>> {
    if noise == Noise::Const {
        model.use_stored_noise();
    }
    let options = SynthesisOptions {
        noise: match noise {
            Noise::Const => NoiseMode::Const,
            Noise::None => NoiseMode::None,
            Noise::Random => NoiseMode::Random(keys(noise_seeds)),
        },
    };
    OutputImage::from_tensor(&model.generator.synthesis.forward(ws, options)?)
}

/// A noise key for each seed, so that the noise of an image does not depend on the other images of its batch.
fn keys(seeds: &[u32]) -> Vec<u64> {
    // Change the seed, so that the noise is independent of z.
    let key = |seed: &u32| noise_key(&mut RandomState::new(seed ^ 0x9e37_79b9));
    seeds.iter().map(key).collect()
}

/// Calls `make` for one chunk of `items` after another on this thread, and `write` with each result on another thread,
/// so that the network does not wait for encoding and the disk. Stops at the first error of `make` or `write`.
pub fn pipeline<T: Sync, R: Send>(
    items: &[T],
    chunk: usize,
    mut make: impl FnMut(&[T]) -> anyhow::Result<R>,
    mut write: impl FnMut(&[T], R) -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<(&[T], R)>(1);
        let writer = std::thread::Builder::new()
            .spawn_scoped(scope, move || {
                for (chunk, result) in receiver {
                    write(chunk, result)?;
                }
                anyhow::Ok(())
            })
            .context("cannot start the thread that writes (see `ulimit -u`)")?;
        let made = (|| {
            for chunk in items.chunks(chunk.max(1)) {
                let result = make(chunk)?;
                // The writer has ended with an error, which is returned below.
                if sender.send((chunk, result)).is_err() {
                    break;
                }
            }
            anyhow::Ok(())
        })();
        drop(sender);
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        made.and(written)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_does_not_depend_on_the_batch() {
        let both = keys(&[3, 9]);
        assert_eq!(both[1..], keys(&[9]));
        assert_ne!(both[0], both[1]);
    }

    #[test]
    fn the_pipeline_keeps_order_and_errors() {
        let mut seen = Vec::new();
        let items: Vec<u32> = (0..10).collect();
        let double = |c: &[u32]| Ok(c.iter().map(|v| v * 2).collect::<Vec<_>>());
        pipeline(&items, 3, double, |chunk, doubled| {
            assert_eq!(chunk.len(), doubled.len());
            seen.extend(doubled);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, (0..10).map(|v| v * 2).collect::<Vec<_>>());
        let full = pipeline(&items, 1, double, |_, _| anyhow::bail!("disk full"));
        assert_eq!(full.unwrap_err().to_string(), "disk full");
        let make = |_: &[u32]| -> anyhow::Result<()> { anyhow::bail!("no memory") };
        let failed = pipeline(&items, 4, make, |_, ()| Ok(()));
        assert_eq!(failed.unwrap_err().to_string(), "no memory");
    }
}
