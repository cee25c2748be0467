//! The same comparisons on a card, in f32, f16 and bf16. Without a card they say so and end.

use super::*;
use crate::cuda::card;

/// The first card; `None`, said aloud, where there is none.
pub(super) fn card() -> Option<Device> {
    match card::open(0) {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("skipped, no card: {error}");
            None
        }
    }
}

/// Makes each result of a test on the CPU first, of numbers of each type, and compares the card's with it.
fn on_card(test: fn()) {
    let Some(card) = card() else { return };
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        PLACE.set((Device::Cpu, dtype));
        ROUND.set(Some(Round::Expect(VecDeque::new())));
        test();
        let Some(Round::Expect(expected)) = ROUND.take() else {
            unreachable!("it was just set")
        };
        PLACE.set((card.clone(), dtype));
        ROUND.set(Some(Round::Check(expected)));
        test();
        let left = ROUND.take();
        PLACE.set((Device::Cpu, DType::F32));
        assert!(matches!(left, Some(Round::Check(left)) if left.is_empty()));
    }
}

#[test]
fn every_kernel_loads() {
    let Some(Device::Cuda(device)) = card() else {
        return;
    };
    let report = card::inspect(&device).unwrap();
    let named: usize = KERNELS.iter().map(|(_, types)| types.len()).sum();
    assert_eq!(report.kernels, named);
    assert!(
        !report.name.is_empty() && report.capability >= (7, 5),
        "{report:?}"
    );
    assert!(report.memory.0 <= report.memory.1);
}

#[test]
fn upfirdn2d() {
    on_card(upfirdn2d_of_all_kinds);
}

#[test]
fn activations() {
    on_card(activations_with_first_and_second_derivatives);
}

#[test]
fn activations_in_half_precision() {
    on_card(half_precision_activations_away_from_kinks);
}

#[test]
fn products_and_sums() {
    on_card(products_and_sums_over_channels);
}

#[test]
fn sampling() {
    on_card(sampling_with_points_inside_and_outside);
}

#[test]
fn modulated_convolutions() {
    on_card(modulated_convolutions_with_tangents_and_their_gradients);
}

#[test]
fn convolutions() {
    on_card(convolutions_with_tangents_and_their_gradients);
}

#[test]
fn doubles_and_mixed_types_are_errors_that_name_the_op() {
    let Some(card) = card() else { return };
    let zeros = |dtype| Tensor::zeros((1, 2, 4, 4), dtype, &card).unwrap();
    let filter = Filter::resample();
    let options = UpFirDn2dOptions::default();
    let error = crate::upfirdn2d(&zeros(DType::F64), &filter, &options).unwrap_err();
    assert!(error.to_string().contains("upfirdn2d"), "{error}");
    let weights = Tensor::zeros((3, 2, 3, 3), DType::F16, &card).unwrap();
    let error = crate::conv2d(&zeros(DType::F32), &weights, &Conv2dOptions::default()).unwrap_err();
    assert!(error.to_string().contains("conv2d"), "{error}");
}
