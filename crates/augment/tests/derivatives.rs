//! Compares the fused pipe with a composition of plain ops, and checks its derivatives.

use augment::{AugPipe, AugmentParams, AugmentPipe, Augmentation, BatchShape};
use candle_core::{DType, Device, Tensor, Var};
use ops::{Dual, Filter};
use rng::RandomState;

/// The low-pass filter of the symlet with six vanishing moments (pywavelets `sym6`).
const SYM6: [f32; 12] = [
    0.015_404_109,
    0.003_490_712,
    -0.117_990_11,
    -0.048_311_743,
    0.491_055_94,
    0.787_641_14,
    0.337_929_42,
    -0.072_637_52,
    -0.021_060_292,
    0.044_724_9,
    0.001_767_711_8,
    -0.007_800_708,
];

fn random(seed: u32, shape: BatchShape) -> Tensor {
    let BatchShape {
        batch,
        channels,
        height,
        width,
    } = shape;
    let values = RandomState::new(seed).randn(batch * channels * height * width);
    Tensor::from_vec(values, (batch, channels, height, width), &Device::Cpu).unwrap()
}

fn draw(pipe: &str, p: f64, shape: BatchShape, seed: u32) -> AugmentParams {
    let pipe = AugmentPipe::from(pipe.parse::<AugPipe>().unwrap());
    pipe.draw(&mut RandomState::new(seed), p, shape).unwrap()
}

fn apply(augmentation: &Augmentation, x: &Tensor) -> Tensor {
    augmentation.apply(&x.into()).unwrap().primal.into_tensor()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let d = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    d.max(0)
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap()
        .to_scalar()
        .unwrap()
}

const RGB: BatchShape = BatchShape {
    batch: 5,
    channels: 3,
    height: 24,
    width: 30,
};

/// Pads `before` and `after` pixels along `dim` by reflection.
fn reflect(x: &Tensor, dim: usize, before: usize, after: usize) -> Tensor {
    let len = x.dim(dim).unwrap() as i64;
    let index: Vec<i64> = (-(before as i64)..len + after as i64)
        .map(|i| i.abs().min(2 * (len - 1) - i.abs()))
        .collect();
    let index = Tensor::new(index, &Device::Cpu).unwrap();
    x.index_select(&index, dim).unwrap()
}

#[test]
fn the_geometric_stage_equals_its_ops() {
    let filter = Filter::new(&SYM6);
    for (channels, seed) in [(1, 1), (2, 2), (3, 3), (7, 4)] {
        let shape = BatchShape { channels, ..RGB };
        let x = random(seed, shape);
        let augmentation = Augmentation::new(draw("bg", 0.8, shape, seed)).unwrap();
        let [left, right, top, bottom] = augmentation.margin().unwrap();
        let padded = reflect(&reflect(&x, 3, left, right), 2, top, bottom);
        let large = ops::upfirdn2d(
            &padded,
            &filter,
            &ops::UpFirDn2dOptions::upsampling(&filter, [2; 2], [0; 4]),
        )
        .unwrap();
        let (h, w) = (2 * (shape.height + 6), 2 * (shape.width + 6));
        let got = apply(&augmentation, &x);
        for image in 0..shape.batch {
            let Some(theta) = augmentation.theta(image) else {
                continue;
            };
            let theta = Tensor::new(&theta, &Device::Cpu).unwrap();
            let theta = theta.unsqueeze(0).unwrap().to_dtype(DType::F64).unwrap();
            let grid = ops::affine_grid(&theta, (1, channels, h, w)).unwrap();
            let one = large.narrow(0, image, 1).unwrap();
            let warped = ops::grid_sample(&one, &grid).unwrap();
            let options = ops::UpFirDn2dOptions {
                down: [2, 2],
                padding: [-1; 4],
                flip_filter: true,
                ..Default::default()
            };
            let expected = ops::upfirdn2d(&warped, &filter, &options).unwrap();
            let got = got.narrow(0, image, 1).unwrap();
            // In the composition the taps are f32.
            assert!(
                distance(&got, &expected) < 2e-6,
                "image {image} of {channels} channels"
            );
        }
    }
}

#[test]
fn the_gradient_is_the_adjoint_and_the_tangent_the_difference() {
    for (pipe, channels) in [
        ("blit", 3),
        ("geom", 3),
        ("color", 3),
        ("color", 1),
        ("filter", 2),
        ("noise,cutout", 4),
        ("bgcfnc", 3),
        ("bgcfnc", 1),
    ] {
        let shape = BatchShape { channels, ..RGB };
        let augmentation = Augmentation::new(draw(pipe, 0.8, shape, 5)).unwrap();
        let (x, v, dy) = (random(1, shape), random(2, shape), random(3, shape));
        let var = Var::from_tensor(&x).unwrap();
        let y = augmentation.apply(&var.as_tensor().into()).unwrap().primal;
        let grads = y.backward_from(&dy).unwrap();
        let gradient = grads.get(&var).unwrap();
        let both = augmentation.apply(&Dual::new(&x, &v).unwrap()).unwrap();
        let (y, tangent) = (y.into_tensor(), both.tangent.unwrap().into_tensor());
        let (a, b) = (dot(gradient, &v), dot(&dy, &tangent));
        assert!((a - b).abs() < 1e-9 * a.abs().max(1.0), "{pipe}: {a} {b}");
        let moved = apply(&augmentation, &(&x + &v).unwrap());
        assert!(distance(&(moved - &y).unwrap(), &tangent) < 1e-9, "{pipe}");
        assert!(distance(both.primal.tensor(), &y) == 0.0, "{pipe}");

        // Second order: the gradient of <L^T dy, v> with respect to dy is L v again.
        let var = Var::from_tensor(&v).unwrap();
        let linear = augmentation.apply_linear(&var).unwrap();
        let grads = (&linear * &dy)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        assert!(
            distance(grads.get(&var).unwrap(), gradient) < 1e-12,
            "{pipe}"
        );
    }
}

#[test]
fn images_smaller_than_the_filters_work() {
    for (height, width) in [(2, 2), (4, 4), (8, 3)] {
        let shape = BatchShape {
            height,
            width,
            ..RGB
        };
        let augmentation = Augmentation::new(draw("bgcfnc", 0.9, shape, 7)).unwrap();
        let (v, dy) = (random(2, shape), random(3, shape));
        let var = Var::from_tensor(&v).unwrap();
        let linear = augmentation.apply_linear(&var).unwrap();
        let grads = (&linear * &dy).unwrap().sum_all().unwrap().backward();
        let grads = grads.unwrap();
        let (a, b) = (dot(grads.get(&var).unwrap(), &v), dot(&dy, &linear));
        assert!(
            (a - b).abs() < 1e-10 && b != 0.0,
            "{height}x{width}: {a} {b}"
        );
    }
}

/// The gradient of `|grad D(A(x))|^2` for `D(y) = sum of y^3`, from the tangent and by finite differences.
#[test]
fn a_gradient_penalty_goes_through_the_pipe() {
    let augmentation = Augmentation::new(draw("bgcfnc", 0.9, RGB, 6)).unwrap();
    let gradient = |x: &Tensor| {
        let x = Var::from_tensor(x).unwrap();
        let y = augmentation.apply(&x.as_tensor().into()).unwrap().primal;
        let cube = y.sqr().unwrap().mul(&y).unwrap();
        let mut grads = cube.sum_all().unwrap().backward().unwrap();
        grads.remove(&x).unwrap()
    };
    let x = (random(1, RGB) * 0.3).unwrap();
    let direction = random(2, RGB);
    let penalty = |x: &Tensor| {
        let g = gradient(x);
        dot(&g, &g)
    };
    let e = 1e-5;
    let moved = |e: f64| (&x + (&direction * e).unwrap()).unwrap();
    let expected = (penalty(&moved(e)) - penalty(&moved(-e))) / (2.0 * e);

    let v = gradient(&x);
    let var = Var::from_tensor(&x).unwrap();
    let both = augmentation
        .apply(&Dual::new(var.as_tensor(), v).unwrap())
        .unwrap();
    // The directional derivative of D: 3 y^2 dy.
    let slope = both.primal.sqr().unwrap();
    let derivative = slope.mul(&both.tangent.unwrap()).unwrap();
    let loss = derivative.sum_all().unwrap().scale(3.0).unwrap();
    let grads = loss.backward().unwrap();
    let got = 2.0 * dot(grads.get(&var).unwrap(), &direction);
    assert!(
        (got - expected).abs() < 1e-6 * expected.abs(),
        "{got} {expected}"
    );
}

#[test]
fn results_do_not_depend_on_the_batch_around_an_untouched_image() {
    let shape = BatchShape { batch: 12, ..RGB };
    let params = draw("bgcfnc", 0.05, shape, 3);
    let x = random(1, shape);
    let y = apply(&Augmentation::new(params.clone()).unwrap(), &x);
    let mut n_untouched = 0;
    for image in 0..shape.batch {
        if params.draws.iter().all(|draw| !draw.gates[image]) {
            n_untouched += 1;
            let one = |t: &Tensor| t.narrow(0, image, 1).unwrap();
            assert!(distance(&one(&x), &one(&y)) == 0.0);
        }
    }
    assert!(
        n_untouched > 0 && n_untouched < shape.batch,
        "{n_untouched}"
    );
}

#[test]
fn seeds_and_saved_draws_repeat() {
    let params = draw("bgcfnc", 0.5, RGB, 9);
    assert_eq!(params, draw("bgcfnc", 0.5, RGB, 9));
    assert_ne!(params, draw("bgcfnc", 0.5, RGB, 10));
    let text = serde_json::to_string(&params).unwrap();
    assert_eq!(
        serde_json::from_str::<AugmentParams>(&text).unwrap(),
        params
    );
}

#[test]
fn what_cannot_be_augmented_is_refused() {
    let shape = BatchShape { channels: 4, ..RGB };
    let error = Augmentation::new(draw("color", 1.0, shape, 0)).unwrap_err();
    assert!(error.to_string().contains("1 or 3 channels"), "{error}");
    let shape = BatchShape { height: 1, ..RGB };
    assert!(Augmentation::new(draw("blit", 1.0, shape, 0)).is_err());
    let augmentation = Augmentation::new(draw("blit", 1.0, RGB, 0)).unwrap();
    let other = random(0, BatchShape { batch: 1, ..RGB });
    assert!(augmentation.apply(&other.into()).is_err());
}
