//! Tests of the convolutions against a plain loop.

use super::*;
use crate::simd::force_isa;

fn geometry() -> ConvGeometry {
    ConvGeometry {
        n: 1,
        ci: 8,
        co: 8,
        h: 5,
        w: 6,
        kh: 3,
        kw: 3,
        stride: 1,
        padding: 1,
        groups: 1,
        swapped: false,
        gain: 1.0,
    }
}

fn panics(work: impl FnOnce() + std::panic::UnwindSafe) -> bool {
    std::panic::catch_unwind(work).is_err()
}

#[test]
fn a_result_is_written_over_what_was_there() {
    let g = geometry();
    let x: Vec<f32> = (0..8 * 30).map(|i| (i % 17) as f32 - 8.0).collect();
    let weights: Vec<f32> = (0..8 * 8 * 9).map(|i| (i % 13) as f32 - 6.0).collect();
    let prepared = prepare(&g, &weights, Direction::Forward);
    let fresh = forward(&g, &x, &weights, &prepared, Scales::default());
    let mut used = vec![f32::NAN; fresh.len()];
    forward_into(&g, &x, &weights, &prepared, Scales::default(), &mut used);
    assert_eq!(fresh, used);
    // Compare with the direct sum in f64.
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let exact = forward_f64(&g, &wide(&x), &wide(&weights));
    for (a, b) in fresh.iter().zip(exact) {
        assert!((f64::from(*a) - b).abs() < 1e-2, "{a} {b}");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let g = geometry();
    let weights = vec![0.0; 8 * 8 * 9];
    let too_small = ConvGeometry {
        h: 1,
        w: 1,
        padding: 0,
        ..g
    };
    assert!(panics(|| {
        weight_gradient(&too_small, &[0.0; 8], &[0.0; 8], Scales::default());
    }));
    let countless = ConvGeometry {
        n: (1 << 60) + 1,
        ..g
    };
    assert!(panics(|| {
        prepare(&countless, &weights, Direction::Forward);
    }));
    let prepared = prepare(&g, &weights, Direction::Forward);
    let x = vec![0.0; 8 * 30];
    let run = |g: &ConvGeometry, x: &[f32], scales: Scales| {
        panics(|| {
            forward(g, x, &weights, &prepared, scales);
        })
    };
    assert!(!run(&g, &x, Scales::default()));
    assert!(run(&g, &x[1..], Scales::default()));
    assert!(run(
        &ConvGeometry { padding: 0, ..g },
        &x,
        Scales::default()
    ));
    let few = Scales {
        input: Some(&[1.0; 3]),
        output: None,
    };
    assert!(run(&g, &x, few));
}

#[test]
fn factors_are_padded_for_the_weights_they_meet() {
    let g = geometry();
    let (x, weights) = (vec![1.0; 8 * 30], vec![1.0; 8 * 8 * 9]);
    for isa in Isa::available() {
        force_isa(Some(isa));
        let prepared = prepare(&g, &weights, Direction::Forward);
        let factors = vec![2.0; isa.lanes()];
        let scales = Scales {
            input: Some(&factors),
            output: None,
        };
        let y = forward(&g, &x, &weights, &prepared, scales);
        // Away from the border 8 channels of 3x3 ones are summed, 72 in all, times the factor 2.
        assert!((y[2 * 6 + 2] - 144.0).abs() < 1e-3, "{isa:?} {}", y[14]);
        force_isa(Some(Isa::Portable));
        let len = 8;
        let scales = Scales {
            input: Some(&factors[..len]),
            output: None,
        };
        let refused = panics(|| {
            forward(&g, &x, &weights, &prepared, scales);
        });
        assert_eq!(refused, isa.lanes() != len, "{isa:?}");
    }
    force_isa(None);
}
