//! Golden data: results of NVIDIA's implementation (commit d72cc7d, torch 2.3.1, CPU) for the same inputs.
//!
//! `recorded` applies every transform with p = 1 to a batch of four RGB images, with recorded random numbers; the file
//! holds the first image. `gray` applies `bgcf` at percentile 0.05 to two gray images.

use std::collections::HashMap;
use std::path::Path;

use augment::{AugPipe, AugmentPipe, Augmentation, BatchShape, Distribution, Recorded, Replay};
use candle_core::{Device, Tensor, Var};
use ops::Dual;
use rng::RandomState;

fn golden() -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let pairs = values(a).into_iter().zip(values(b));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The augmented images, and the gradient with respect to the images for the gradient `grad_out` of the result.
fn run(augmentation: &Augmentation, images: &Tensor, grad_out: &Tensor) -> (Tensor, Tensor) {
    let x = Var::from_tensor(images).unwrap();
    let y = augmentation
        .apply(&Dual::from(x.as_tensor()))
        .unwrap()
        .primal;
    let mut grads = y.backward_from(grad_out).unwrap();
    (y.into_tensor(), grads.remove(&x).unwrap())
}

#[test]
fn recorded_draws_give_the_same_image_and_gradient() {
    let golden = golden();
    let mut draws: Vec<(String, Recorded)> = golden
        .iter()
        .filter(|(name, _)| name.contains(".rng"))
        .map(|(name, drawn)| {
            let distribution = match name.ends_with(".randn") {
                true => Distribution::Normal,
                false => Distribution::Uniform,
            };
            let mut drawn = values(drawn);
            if drawn.len() > 100 {
                // Only the noise of the first image was recorded; the other images get zeros.
                drawn.resize(4 * drawn.len(), 0.0);
            }
            (name.clone(), (distribution, drawn))
        })
        .collect();
    draws.sort_by(|a, b| a.0.cmp(&b.0));
    let draws: Vec<Recorded> = draws.into_iter().map(|(_, draw)| draw).collect();

    let pipe = AugmentPipe::from("bgcfnc".parse::<AugPipe>().unwrap());
    let four = |x: &Tensor| {
        let rest = x.zeros_like().unwrap().repeat((3, 1, 1, 1)).unwrap();
        Tensor::cat(&[x, &rest], 0).unwrap()
    };
    let images = four(&golden["recorded.images"]);
    let mut replay = Replay::new(&draws);
    let params = pipe
        .draw(&mut replay, 1.0, BatchShape::of(&images).unwrap())
        .unwrap();
    assert!(replay.is_finished());
    let augmentation = Augmentation::new(params).unwrap();
    let (y, gradient) = run(&augmentation, &images, &four(&golden["recorded.grad_out"]));
    let first = |x: &Tensor| x.narrow(0, 0, 1).unwrap();
    assert!(distance(&first(&y), &golden["recorded.out"]) < 2e-5);
    assert!(distance(&first(&gradient), &golden["recorded.grad_in"]) < 5e-5);
}

#[test]
fn a_percentile_of_gray_images_gives_the_same_image_and_gradient() {
    let golden = golden();
    let pipe = AugmentPipe::from("bgcf".parse::<AugPipe>().unwrap());
    let images = &golden["gray.images"];
    let shape = BatchShape::of(images).unwrap();
    let params = pipe
        .at_percentile(&mut RandomState::new(0), 0.05, shape)
        .unwrap();
    let augmentation = Augmentation::new(params).unwrap();
    assert_eq!(augmentation.margin(), Some([17, 15, 15, 10]));
    let (y, gradient) = run(&augmentation, images, &golden["gray.grad_out"]);
    assert!(distance(&y, &golden["gray.out"]) < 1e-5);
    assert!(distance(&gradient, &golden["gray.grad_in"]) < 3e-5);
}
