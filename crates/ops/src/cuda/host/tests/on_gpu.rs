//! The comparisons of the parent module on a GPU, in f32, f16 and bf16.

use super::*;
use crate::cuda::device;

/// The first GPU.
pub(super) fn gpu() -> Device {
    device::open(0).unwrap()
}

/// For each number type, runs a test on the CPU, then on the GPU, and compares the results.
fn on_gpu(test: fn()) {
    let gpu = gpu();
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        PLACEMENT.set((Device::Cpu, dtype));
        GPU_TEST.set(Some(Phase::Expect(VecDeque::new())));
        test();
        let Some(Phase::Expect(expected)) = GPU_TEST.take() else {
            unreachable!("it was just set")
        };
        PLACEMENT.set((gpu.clone(), dtype));
        GPU_TEST.set(Some(Phase::Check(expected)));
        test();
        let left = GPU_TEST.take();
        PLACEMENT.set((Device::Cpu, DType::F32));
        assert!(matches!(left, Some(Phase::Check(left)) if left.is_empty()));
    }
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn every_kernel_loads() {
    let Device::Cuda(cuda) = gpu() else {
        unreachable!("a GPU was opened")
    };
    let report = device::inspect(&cuda).unwrap();
    let named: usize = KERNELS.iter().map(|(_, types)| types.len()).sum();
    assert_eq!(report.kernels, named);
    assert!(
        !report.name.is_empty() && report.capability >= (7, 5),
        "{report:?}"
    );
    assert!(report.memory.0 <= report.memory.1);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn upfirdn2d() {
    on_gpu(upfirdn2d_of_all_kinds);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn activations() {
    on_gpu(activations_with_first_and_second_derivatives);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn activations_in_half_precision() {
    on_gpu(half_precision_activations_away_from_kinks);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn products_and_sums() {
    on_gpu(products_and_sums_over_channels);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn sampling() {
    on_gpu(sampling_with_points_inside_and_outside);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn modulated_convolutions() {
    on_gpu(modulated_convolutions_with_tangents_and_their_gradients);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn convolutions() {
    on_gpu(convolutions_with_tangents_and_their_gradients);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn doubles_and_mixed_types_are_errors_that_name_the_op() {
    let gpu = gpu();
    let zeros = |dtype| Tensor::zeros((1, 2, 4, 4), dtype, &gpu).unwrap();
    let filter = Filter::resample();
    let options = UpFirDn2dOptions::default();
    let error = crate::upfirdn2d(&zeros(DType::F64), &filter, &options).unwrap_err();
    assert!(error.to_string().contains("upfirdn2d"), "{error}");
    let weights = Tensor::zeros((3, 2, 3, 3), DType::F16, &gpu).unwrap();
    let error = crate::conv2d(&zeros(DType::F32), &weights, &Conv2dOptions::default()).unwrap_err();
    assert!(error.to_string().contains("conv2d"), "{error}");
}
