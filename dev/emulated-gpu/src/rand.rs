//! The functions of cuRAND that candle calls: uniform and normal numbers. Equal seeds give equal sequences, which
//! differ from NVIDIA's.

use std::ffi::c_void;

use crate::numbers::{Kind, store};
use crate::{complain, memory};

const SUCCESS: u32 = 0;
const NOT_INITIALIZED: u32 = 101;
const OUT_OF_RANGE: u32 = 104;
const LENGTH_NOT_MULTIPLE: u32 = 105;

struct Generator {
    state: u64,
}

impl Generator {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A uniform number in (0, 1].
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 40) + 1) as f64 / (1u64 << 24) as f64
    }

    fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

fn with(generator: *mut c_void, work: impl FnOnce(&mut Generator) -> u32) -> u32 {
    // SAFETY: the handle is from `curandCreateGenerator` and was not destroyed.
    match unsafe { generator.cast::<Generator>().as_mut() } {
        Some(generator) => work(generator),
        None => NOT_INITIALIZED,
    }
}

fn fill(
    generator: *mut c_void,
    out: u64,
    len: usize,
    kind: Kind,
    next: impl Fn(&mut Generator) -> f64,
) -> u32 {
    with(generator, |generator| {
        match memory::write(out, len * kind.size()) {
            Some(bytes) => {
                (0..len).for_each(|at| store(bytes, at, kind, next(generator)));
                SUCCESS
            }
            None => {
                complain(&format!(
                    "cuRAND: {len} numbers at {out:#x} are not in one allocation"
                ));
                OUT_OF_RANGE
            }
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn curandCreateGenerator(generator: *mut *mut c_void, _kind: u32) -> u32 {
    let new = Box::into_raw(Box::new(Generator { state: 0 }));
    // SAFETY: the caller gives a pointer to a handle.
    unsafe { generator.write(new.cast()) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn curandDestroyGenerator(generator: *mut c_void) -> u32 {
    if generator.is_null() {
        return NOT_INITIALIZED;
    }
    // SAFETY: the handle is from `curandCreateGenerator`, and this is its last use.
    drop(unsafe { Box::from_raw(generator.cast::<Generator>()) });
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn curandSetPseudoRandomGeneratorSeed(generator: *mut c_void, seed: u64) -> u32 {
    with(generator, |generator| {
        generator.state = seed;
        SUCCESS
    })
}

#[unsafe(no_mangle)]
extern "C" fn curandSetStream(generator: *mut c_void, _stream: *mut c_void) -> u32 {
    with(generator, |_| SUCCESS)
}

#[unsafe(no_mangle)]
extern "C" fn curandGenerateUniform(generator: *mut c_void, out: u64, len: usize) -> u32 {
    fill(generator, out, len, Kind::F32, Generator::uniform)
}

#[unsafe(no_mangle)]
extern "C" fn curandGenerateUniformDouble(generator: *mut c_void, out: u64, len: usize) -> u32 {
    fill(generator, out, len, Kind::F64, Generator::uniform)
}

#[unsafe(no_mangle)]
extern "C" fn curandGenerateNormal(
    generator: *mut c_void,
    out: u64,
    len: usize,
    mean: f32,
    deviation: f32,
) -> u32 {
    normal(
        generator,
        out,
        len,
        Kind::F32,
        f64::from(mean),
        f64::from(deviation),
    )
}

#[unsafe(no_mangle)]
extern "C" fn curandGenerateNormalDouble(
    generator: *mut c_void,
    out: u64,
    len: usize,
    mean: f64,
    deviation: f64,
) -> u32 {
    normal(generator, out, len, Kind::F64, mean, deviation)
}

fn normal(
    generator: *mut c_void,
    out: u64,
    len: usize,
    kind: Kind,
    mean: f64,
    deviation: f64,
) -> u32 {
    // cuRAND generates normal numbers in pairs.
    if !len.is_multiple_of(2) {
        return LENGTH_NOT_MULTIPLE;
    }
    fill(generator, out, len, kind, |g| g.normal() * deviation + mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::load;

    #[test]
    fn numbers_have_the_mean_and_deviation_that_was_asked_for() {
        let mut generator = std::ptr::null_mut();
        assert_eq!(curandCreateGenerator(&mut generator, 100), SUCCESS);
        assert_eq!(curandSetPseudoRandomGeneratorSeed(generator, 7), SUCCESS);
        let (len, out) = (20_000, memory::allocate(80_000).unwrap());
        assert_eq!(curandGenerateNormal(generator, out, len, 3.0, 2.0), SUCCESS);
        let values = load(out, len, Kind::F32).unwrap();
        let mean = values.iter().sum::<f64>() / len as f64;
        let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / len as f64;
        assert!(
            (mean - 3.0).abs() < 0.06 && (spread - 4.0).abs() < 0.2,
            "{mean} {spread}"
        );
        assert_eq!(curandGenerateUniform(generator, out, len), SUCCESS);
        let values = load(out, len, Kind::F32).unwrap();
        assert!(values.iter().all(|&v| v > 0.0 && v <= 1.0));
        assert_eq!(curandGenerateUniform(generator, out, len + 1), OUT_OF_RANGE);
        assert_eq!(
            curandGenerateNormal(generator, out, 3, 0.0, 1.0),
            LENGTH_NOT_MULTIPLE
        );
        assert_eq!(curandDestroyGenerator(generator), SUCCESS);
    }
}
