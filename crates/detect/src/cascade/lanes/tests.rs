//! Compares the SIMD evaluation with the evaluation of single windows.

use image::{GrayImage, Luma};

use super::*;
use crate::cascade::CascadeOptions;
use crate::cascade::model::{Features, Node, Stage as ModelStage, Tree};
use crate::cascade::pyramid::{scales, slide};
use crate::cascade::window::LbpEvaluator;

fn random(state: &mut u64) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// A random LBP cascade of stumps and its features; each stage passes about two thirds of the windows.
fn model(seed: u64) -> (Model, Vec<[usize; 4]>) {
    let mut state = seed;
    let features: Vec<[usize; 4]> = (0..20)
        .map(|_| {
            let (w, h) = (1 + random(&mut state) % 7, 1 + random(&mut state) % 7);
            let x = random(&mut state) % (24 - 3 * w + 1);
            let y = random(&mut state) % (24 - 3 * h + 1);
            [x, y, w, h]
        })
        .collect();
    let (mut stages, mut trees, mut nodes, mut leaves) = (vec![], vec![], vec![], vec![]);
    for n in [2, 3, 5, 5, 7] {
        let first = trees.len();
        for _ in 0..n {
            trees.push(Tree {
                nodes: nodes.len(),
                leaves: leaves.len(),
            });
            nodes.push(Node {
                feature: random(&mut state) % features.len(),
                left: 0,
                right: -1,
                test: Test::OneOf(std::array::from_fn(|_| random(&mut state) as u32)),
            });
            leaves
                .extend([-1.0, 1.0].map(|sign| sign * (random(&mut state) % 1000) as f32 / 999.0));
        }
        stages.push(ModelStage {
            trees: first..trees.len(),
            threshold: -0.4,
        });
    }
    let model = Model {
        window: (24, 24),
        stages,
        trees,
        nodes,
        leaves,
        features: Features::Lbp(features.clone()),
    };
    (model, features)
}

#[test]
fn lanes_accept_the_windows_that_one_at_a_time_would() {
    let mut n_faces = 0;
    for (seed, width, height) in [
        (1, 97, 61),
        (2, 130, 90),
        (3, 24, 24),
        (4, 200, 25),
        (5, 64, 150),
    ] {
        let mut state = seed * 7919;
        let image = GrayImage::from_fn(width, height, |x, y| {
            let wave = (f64::from(x) / 5.0).sin() * (f64::from(y) / 7.0).cos();
            Luma([(128.0 + 100.0 * wave) as u8 ^ (random(&mut state) % 16) as u8])
        });
        let (model, features) = model(seed);
        let options = CascadeOptions {
            min_size: 0,
            ..CascadeOptions::default()
        };
        let scales = scales(model.window, image.dimensions(), &options);
        let (columns, rows) = (width as usize + 1, height as usize + 1);
        let one = LbpEvaluator::new(&features, columns, rows);
        let expected = slide(&model, &image, &scales, one).unwrap();
        n_faces += expected.len();
        for isa in Isa::available() {
            let lanes = LbpLanes::new(&model, &features, columns, rows, isa).unwrap();
            let found = slide(&model, &image, &scales, lanes).unwrap();
            assert_eq!(found, expected, "{isa:?}, {width} x {height}");
        }
    }
    assert!(n_faces > 100, "{n_faces}");
}

#[test]
fn cells_that_overflow_are_left_to_one_at_a_time() {
    let (mut model, _) = model(1);
    let features = vec![[0, 0, 17, 17]; 20];
    model.window = (60, 60);
    for isa in Isa::available() {
        assert!(LbpLanes::new(&model, &features, 100, 100, isa).is_none());
    }
}
