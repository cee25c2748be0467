//! Normal numbers: the kernel, compiled for the CPU and on a GPU, gives the same bits as the Rust kernel for the CPU.

use super::*;
use crate::cuda::normal::params;
use crate::normal::Keys;

const KEYS: [u64; 2] = [0x0123_4567_89AB_CDEF, u64::MAX];

/// `(batch, height, width)`: planes whose lengths are and are not multiples of four; the last plane is longer than what
/// one task of the CPU kernel generates.
const SHAPES: [(usize, usize, usize); 5] =
    [(1, 4, 4), (5, 3, 7), (2, 1, 1), (3, 5, 2), (2, 300, 310)];

fn on_cpu(stream: u32, shape: (usize, usize, usize)) -> Vec<u32> {
    bits(&Keys::new(&KEYS, &Device::Cpu).unwrap(), stream, shape)
}

fn bits(keys: &Keys, stream: u32, shape: (usize, usize, usize)) -> Vec<u32> {
    let made = keys.normal(stream, shape).unwrap().flatten_all().unwrap();
    let made = made.to_vec1::<f32>().unwrap();
    made.iter().map(|number| number.to_bits()).collect()
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn the_kernel_on_the_host_is_the_cpu_to_the_bit() {
    let words: Vec<u32> = KEYS
        .iter()
        .flat_map(|key| [*key as u32, (key >> 32) as u32])
        .collect();
    for (stream, shape) in SHAPES.into_iter().enumerate() {
        let (batch, height, width) = shape;
        let params = params(batch, height * width, stream as u32, KEYS.len()).unwrap();
        let mut found = vec![UNTOUCHED; batch * height * width];
        let to = found.as_mut_ptr().cast();
        run("normal", "f32", &[words.as_ptr().cast()], to, params);
        let found: Vec<u32> = found.iter().map(|number| number.to_bits()).collect();
        assert!(found == on_cpu(stream as u32, shape), "{shape:?}");
    }
}

#[test]
fn streams_beyond_those_of_a_kernel_are_errors() {
    assert!(params(1, 16, 1 << 31, 1).is_err());
    assert!(params(1, 1 << 33, 0, 1).is_err());
}

#[test]
#[cfg(feature = "cuda")]
#[ignore = "needs a GPU with CUDA"]
fn on_a_gpu_they_equal_the_cpu_to_the_bit() {
    let gpu = on_gpu::gpu();
    let keys = Keys::new(&KEYS, &gpu).unwrap();
    for (stream, shape) in SHAPES.into_iter().enumerate() {
        let found = bits(&keys, stream as u32, shape);
        assert!(found == on_cpu(stream as u32, shape), "{shape:?}");
    }
    assert_eq!(keys.normal(0, (0, 4, 4)).unwrap().elem_count(), 0);
}
