//! Tests the CUDA kernels without a GPU: a C++ compiler compiles them for the CPU.
//!
//! Inside [`through_kernels`] all ops of this crate run as these kernels, with the threads of a launch one after the
//! other. So whole graphs with gradients and tangents are compared with the Rust kernels for the CPU. Convolutions,
//! which cuDNN computes on a GPU, are computed by the Rust kernels here as well.

use std::ffi::{CString, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use candle_core::{Device, Result, Tensor, bail};
use half::f16;

use super::plan::{Convolution, Launch, Params, Plan};
use crate::cpu::conv;
use crate::cpu::conv::Direction;
use crate::op::executor::{Request, with_executor};
use crate::weight_cache::prepared;

const ALL: &[&str] = &["f32", "f16", "bf16"];
const SINGLE: &[&str] = &["f32"];

/// All kernels, with the number types that each is compiled for.
pub(super) const KERNELS: &[(&str, &[&str])] = &[
    ("add", ALL),
    ("add_noise", ALL),
    ("bias_act", ALL),
    ("bias_act_gradient", ALL),
    ("channel_dot", ALL),
    ("channel_sum", ALL),
    ("grid_sample", SINGLE),
    ("grid_sample_grid", SINGLE),
    ("grid_sample_spread", SINGLE),
    ("normal", SINGLE),
    ("scale_channels", ALL),
    ("sum_channels", ALL),
    ("sum_parts", ALL),
    ("transpose", ALL),
    ("update_adam", SINGLE),
    ("update_average", SINGLE),
    ("update_copy", SINGLE),
    ("upfirdn2d", ALL),
];

/// The number type of the arrays that kernels read and write.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Storage {
    F32,
    F16,
}

/// Calls `work` while the ops of this thread are executed by the kernels that were compiled for the CPU.
fn through_kernels<T>(storage: Storage, work: impl FnOnce() -> T) -> T {
    with_executor(move |request| execute(request, storage), work)
}

/// Executes the plan of one op.
fn execute(request: Request, storage: Storage) -> Result<Tensor> {
    let Request {
        name,
        inputs,
        shape,
        plan,
    } = request;
    let values: Vec<Vec<f32>> = inputs
        .iter()
        .map(|t| t.flatten_all()?.to_vec1::<f32>())
        .collect::<Result<_>>()?;
    let y = match plan {
        Plan::Composed(y) => {
            assert_eq!(y.shape(), &shape, "{name}");
            return Ok(y);
        }
        Plan::Launch(launch) => {
            let types = KERNELS.iter().find(|(name, _)| *name == launch.kernel);
            let halves = types.expect("the kernel is in the list").1.contains(&"f16");
            match storage {
                Storage::F16 if halves => {
                    let halves = |v: &Vec<f32>| v.iter().map(|&v| f16::from_f32(v)).collect();
                    let rounded: Vec<Vec<f16>> = values.iter().map(halves).collect();
                    let y = launch_on_host(&launch, "f16", &rounded, shape.elem_count());
                    y.into_iter().map(f16::to_f32).collect()
                }
                _ => launch_on_host(&launch, "f32", &values, shape.elem_count()),
            }
        }
        Plan::Convolution(g, convolution) => {
            assert!(!g.swapped, "cuDNN has one order of weights");
            let (a, b) = (&values[0][..], &values[1][..]);
            let scales = conv::Scales::default();
            match convolution {
                Convolution::Forward => {
                    conv::forward(&g, a, b, &prepared(&g, b, Direction::Forward), scales)
                }
                Convolution::InputGradient => {
                    let weights = prepared(&g, b, Direction::InputGradient);
                    conv::input_gradient(&g, a, b, &weights, scales)
                }
                Convolution::WeightGradient => conv::weight_gradient(&g, a, b, scales),
            }
        }
    };
    if y.len() != shape.elem_count() {
        bail!("{}: {} results for {shape:?}", name, y.len());
    }
    Tensor::from_vec(y, shape, &Device::Cpu)
}

/// The initial value of results: a result that no kernel thread writes stays NaN and is noticed.
const UNTOUCHED: f32 = f32::NAN;

trait Number: Copy {
    fn of(value: f32) -> Self;
}
impl Number for f32 {
    fn of(value: f32) -> Self {
        value
    }
}
impl Number for f16 {
    fn of(value: f32) -> Self {
        f16::from_f32(value)
    }
}

fn launch_on_host<T: Number>(
    launch: &Launch,
    suffix: &str,
    inputs: &[Vec<T>],
    len: usize,
) -> Vec<T> {
    let start = if launch.zeroed { 0.0 } else { UNTOUCHED };
    let mut y = vec![T::of(start); len];
    let pointers: Vec<*const c_void> = inputs.iter().map(|v| v.as_ptr().cast()).collect();
    if launch.is_sum() {
        let mut parts = vec![UNTOUCHED; len * launch.parts];
        assert_eq!(parts.len() as i64, launch.params.n);
        run(
            launch.kernel,
            suffix,
            &pointers,
            parts.as_mut_ptr().cast(),
            launch.params,
        );
        let whole = Params::new(len, &[launch.parts], &[]).unwrap();
        run(
            "sum_parts",
            suffix,
            &[parts.as_ptr().cast()],
            y.as_mut_ptr().cast(),
            whole,
        );
    } else {
        run(
            launch.kernel,
            suffix,
            &pointers,
            y.as_mut_ptr().cast(),
            launch.params,
        );
    }
    y
}

/// Runs one kernel in blocks of 96 threads, a size that rarely divides the number of threads, so surplus threads are
/// tested.
fn run(kernel: &str, suffix: &str, inputs: &[*const c_void], y: *mut c_void, params: Params) {
    type Kernel = *mut c_void;
    type Launcher = unsafe extern "C" fn(
        Kernel,
        *const c_void,
        *const c_void,
        *const c_void,
        *mut c_void,
        Params,
        u32,
    );
    let library = library();
    let at = |i: usize| inputs.get(i).copied().unwrap_or(std::ptr::null());
    // SAFETY: the signatures are those of `kernels/all.cu`, and all arrays have the sizes of the plan.
    unsafe {
        let launcher: Launcher = std::mem::transmute(symbol(library, "launch_on_host"));
        let kernel = symbol(library, &format!("{kernel}_{suffix}"));
        launcher(kernel, at(0), at(1), at(2), y, params, 96);
    }
}

/// # Safety
/// `library` must be an open handle of `dlopen`.
unsafe fn symbol(library: usize, name: &str) -> *mut c_void {
    let c_name = CString::new(name).unwrap();
    // SAFETY: the caller's promise.
    let found = unsafe { libc::dlsym(library as *mut c_void, c_name.as_ptr()) };
    assert!(!found.is_null(), "no kernel is called {name}");
    found
}

/// The handle of the library of compiled kernels, which is compiled at its first use.
fn library() -> usize {
    static LIBRARY: OnceLock<usize> = OnceLock::new();
    *LIBRARY.get_or_init(compiled)
}

fn compiled() -> usize {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda/kernels/all.cu");
    let out = dir.path().join("kernels.so");
    let output = Command::new(&compiler)
        .args([
            "-x",
            "c++",
            "-std=c++17",
            "-O2",
            "-ffp-contract=off",
            "-shared",
            "-fPIC",
        ])
        .arg(source)
        .arg("-o")
        .arg(&out)
        .output()
        .unwrap_or_else(|error| {
            panic!("the C++ compiler '{compiler}' (CXX names another) does not start: {error}")
        });
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = CString::new(out.to_str().unwrap()).unwrap();
    // SAFETY: the library was just compiled and has no initializers.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    library as usize
}

mod tests;
