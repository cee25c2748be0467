//! Weight updates: the kernels, compiled for the CPU and on a GPU, give the same bits as the Rust kernels for the CPU.

use super::*;
use crate::adam::decay;
use crate::cuda::table::Table;
use crate::update::{AdamParameter, AdamStep, adam_step, average, copy};

/// Lengths of tensors: below, equal to and above the chunk of a kernel, and 0.
const LENGTHS: [usize; 6] = [1, 40_000, 0, 1 << 14, 300, (1 << 14) + 1];

const STEP: AdamStep = AdamStep {
    beta1: 0.9,
    beta2: 0.99,
    step_size: 0.003,
    root_correction: 0.7,
    eps: 1e-8,
};

/// The weights, gradients and moments of a small network, one tensor for each of [`LENGTHS`].
struct Network {
    weights: Vec<Tensor>,
    gradients: Vec<Option<Tensor>>,
    means: Vec<Tensor>,
    squares: Vec<Tensor>,
}

impl Network {
    fn new(device: &Device) -> Self {
        let list = |seed: u64| -> Vec<Tensor> {
            let tensors = LENGTHS.iter().enumerate();
            tensors
                .map(|(i, &len)| tensor(seed + i as u64, &[len], 1.0))
                .collect()
        };
        let on_device = |list: Vec<Tensor>| -> Vec<Tensor> {
            list.iter().map(|t| t.to_device(device).unwrap()).collect()
        };
        let wild = |t: &Tensor| {
            let mut values = t.to_vec1::<f32>().unwrap();
            let wild = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
            for (place, wild) in values.iter_mut().skip(3).zip(wild) {
                *place = wild;
            }
            Tensor::new(values, &Device::Cpu).unwrap()
        };
        let gradients = on_device(list(20).iter().map(wild).collect());
        let squares = list(40).iter().map(|t| t.sqr().unwrap()).collect();
        Self {
            weights: on_device(list(10)),
            // The fifth weight has no gradient.
            gradients: gradients
                .into_iter()
                .enumerate()
                .map(|(i, t)| (i != 4).then_some(t))
                .collect(),
            means: on_device(list(30)),
            squares: on_device(squares),
        }
    }

    fn parameters(&self, with_means: bool) -> Vec<AdamParameter<'_>> {
        (0..LENGTHS.len())
            .map(|i| AdamParameter {
                weight: &self.weights[i],
                gradient: self.gradients[i].as_ref(),
                exp_avg: with_means.then_some(&self.means[i]),
                exp_avg_sq: &self.squares[i],
            })
            .collect()
    }

    /// Each weight paired with its mean, for [`average`] and [`copy`].
    fn pairs(&self) -> Vec<(&Tensor, &Tensor)> {
        self.weights.iter().zip(&self.means).collect()
    }

    fn bits(&self) -> Vec<Vec<u32>> {
        let all = self.weights.iter().chain(&self.means).chain(&self.squares);
        all.map(|t| bits(&t.to_vec1::<f32>().unwrap())).collect()
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Performs two Adam steps, two averages and a copy on a device; returns the bits of all tensors.
fn updated(device: &Device) -> Vec<Vec<u32>> {
    let network = Network::new(device);
    adam_step(&network.parameters(false), &STEP).unwrap();
    adam_step(&network.parameters(true), &STEP).unwrap();
    average(&network.pairs(), 0.25).unwrap();
    average(&network.pairs(), 0.998).unwrap();
    copy(&network.pairs()[..2]).unwrap();
    network.bits()
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn kernels_on_the_host_are_the_cpu_to_the_bit() {
    let network = Network::new(&Device::Cpu);
    let values =
        |list: &[Tensor]| -> Vec<Vec<f32>> { list.iter().map(|t| t.to_vec1().unwrap()).collect() };
    let mut weights = values(&network.weights);
    let gradients: Vec<Option<Vec<f32>>> = network
        .gradients
        .iter()
        .map(|t| t.as_ref().map(|t| t.to_vec1().unwrap()))
        .collect();
    let (mut means, mut squares) = (values(&network.means), values(&network.squares));
    let mut run_rows = |name: &str, rows: usize, with_means: bool, floats: &[f32], adam: bool| {
        let addresses = (0..rows).map(|i| {
            let gradient = gradients[i].as_ref().map_or(0, |g| g.as_ptr() as u64);
            let mean = means[i].as_mut_ptr() as u64;
            let row = match adam {
                true => [
                    weights[i].as_mut_ptr() as u64,
                    gradient,
                    if with_means { mean } else { 0 },
                    squares[i].as_mut_ptr() as u64,
                ],
                false => [weights[i].as_mut_ptr() as u64, mean, 0, 0],
            };
            (row, LENGTHS[i])
        });
        let table = Table::new(addresses, floats).unwrap();
        let rows = [table.words.as_ptr().cast()];
        run(name, "f32", &rows, std::ptr::null_mut(), table.params);
    };
    let all = LENGTHS.len();
    let ([b1, c1], [b2, c2]) = (decay(STEP.beta1), decay(STEP.beta2));
    let (size, root, eps) = (STEP.step_size, STEP.root_correction, STEP.eps);
    for with_means in [false, true] {
        let floats = [b1, c1, b2, c2, size, root, eps];
        run_rows("update_adam", all, with_means, &floats, true);
    }
    for beta in [0.25, 0.998] {
        run_rows("update_average", all, true, &[beta], false);
    }
    run_rows("update_copy", 2, true, &[], false);
    let found = weights.iter().chain(&means).chain(&squares);
    let found: Vec<Vec<u32>> = found.map(|values| bits(values)).collect();
    assert!(found == updated(&Device::Cpu));
}

#[test]
#[cfg(feature = "cuda")]
#[ignore = "needs a GPU with CUDA"]
fn on_a_gpu_they_equal_the_cpu_to_the_bit() {
    let gpu = on_gpu::gpu();
    assert!(updated(&gpu) == updated(&Device::Cpu));
    // Tensors that are not contiguous are copied before they are read.
    let column = Tensor::arange(0f32, 6.0, &gpu).unwrap();
    let column = column.reshape((2, 3)).unwrap().t().unwrap();
    let to = Tensor::zeros((3, 2), DType::F32, &gpu).unwrap();
    copy(&[(&to, &column)]).unwrap();
    let expected = [[0f32, 3.0], [1.0, 4.0], [2.0, 5.0]];
    assert_eq!(to.to_vec2::<f32>().unwrap(), expected);
    let elsewhere = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
    assert!(copy(&[(&to, &elsewhere)]).is_err());
}
