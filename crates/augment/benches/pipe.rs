//! Times drawing, forward and backward pass of the pipe in milliseconds: `cargo bench -p augment [-- BATCH SIZE]`;
//! BATCH is the number of images (16 by default), SIZE their side in pixels (64).

use std::hint::black_box;
use std::time::Instant;

use augment::{AugPipe, AugmentPipe, Augmentation, BatchShape};
use candle_core::{DType, Device, Tensor, Var};
use ops::Dual;
use rng::RandomState;

/// The number of draws over which times are averaged.
const DRAWS: u32 = 8;
/// The number of runs per draw, of which the fastest counts.
const ROUNDS: u32 = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let batch = numbers.first().copied().unwrap_or(16);
    let size = numbers.get(1).copied().unwrap_or(64);
    let shape = BatchShape {
        batch,
        channels: 3,
        height: size,
        width: size,
    };
    let images = Tensor::rand(-1.0, 1.0, (batch, 3, size, size), &Device::Cpu)?;
    let x = Var::from_tensor(&images.to_dtype(DType::F32)?)?;
    println!(
        "{batch} images of {size} px, {} threads",
        rayon::current_num_threads()
    );
    println!(
        "{:<8} {:>4} {:>9} {:>9} {:>9}  ms",
        "pipe", "p", "draw", "forward", "backward"
    );
    for name in ["blit", "bg", "bgc", "bgcfnc"] {
        let pipe = AugmentPipe::from(name.parse::<AugPipe>()?);
        for p in [0.0, 0.2, 0.6, 1.0] {
            let mut random = RandomState::new(0);
            let mut ms = [0.0; 3];
            for _ in 0..DRAWS {
                // The fastest of several runs is reported, since other programs can only make a run slower.
                let mut best = [f64::INFINITY; 3];
                let mut lap = |i: usize, start: Instant| {
                    best[i] = best[i].min(1000.0 * start.elapsed().as_secs_f64());
                };
                let start = Instant::now();
                let augmentation = Augmentation::new(pipe.draw(&mut random, p, shape)?)?;
                lap(0, start);
                for _ in 0..ROUNDS {
                    let start = Instant::now();
                    let y = augmentation.apply(&Dual::from(x.as_tensor()))?.primal;
                    lap(1, start);
                    let loss = y.sum_all()?;
                    let start = Instant::now();
                    black_box(loss.backward()?);
                    lap(2, start);
                }
                for (sum, best) in ms.iter_mut().zip(best) {
                    *sum += best / f64::from(DRAWS);
                }
            }
            let [draw, forward, backward] = ms;
            println!("{name:<8} {p:>4} {draw:>9.2} {forward:>9.2} {backward:>9.2}");
        }
    }
    Ok(())
}
