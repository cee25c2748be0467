//! Convolutions by cuDNN. Sums are in f32 for every number type. For each shape, the algorithm is the fastest of those
//! that could be timed within a limit ([`autotune`]), or the choice of cuDNN's heuristics when no time is left.

mod algorithm;
mod candidate;
mod channels_last;
mod descriptors;
mod operands;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::cuda_backend::cudarc::cudnn::Cudnn;
use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda_backend::{CudaDevice, DeviceId, WrapErr};
use candle_core::{Error, Result};

use self::algorithm::Layout;
use self::candidate::Candidate;
pub(super) use self::operands::CudnnType;
use self::operands::Operands;
use super::autotune;
use super::element::Element;
use super::plan::Convolution;
use crate::cpu::conv::ConvGeometry;

/// Environment variables that switch autotuning off with the value `off`, so that cuDNN's heuristics choose; the second
/// is a former name.
const AUTOTUNE: [&str; 2] = ["KAOGAN_CUDNN_AUTOTUNE", "KAOGAN_CUDNN_TRIALS"];
/// Wall-clock limits of autotuning: for one shape, and for all shapes of a thread and GPU together.
const SHAPE_BUDGET: Duration = Duration::from_millis(150);
const TOTAL_BUDGET: Duration = Duration::from_secs(20);
/// The largest workspace, in bytes, with which a candidate is timed.
const MAX_WORKSPACE: usize = 512 << 20;
/// The number of timed runs of a candidate, after one untimed run that loads its kernels.
const TIMED_RUNS: usize = 3;

/// The key of a chosen candidate: the convolution, the number type and all sizes.
type Key = (Convolution, &'static str, [usize; 10]);

/// The state of one thread for one GPU; a cuDNN handle must be used by one thread only.
struct ThreadState {
    cudnn: Arc<Cudnn>,
    chosen: HashMap<Key, Candidate>,
    /// Memory that all chosen candidates share, since all work is in one stream; as large as the largest of them needs.
    workspace: CudaSlice<u8>,
    /// The time left for autotuning; `None` when it is switched off.
    budget: Option<Duration>,
}

thread_local! {
    static STATES: RefCell<HashMap<DeviceId, ThreadState>> = RefCell::default();
}

/// Convolves `a` with `b` into `y`: `(x, w) -> y`, `(dy, w) -> dx` or `(x, dy) -> dw`.
///
/// cuDNN multiplies its sums by the gain of `g`, so no scaled copy of the weights is needed.
///
/// # Errors
/// Errors of cuDNN and of the CUDA driver.
pub(super) fn run<T: Element + CudnnType>(
    device: &CudaDevice,
    g: &ConvGeometry,
    convolution: Convolution,
    a: &CudaView<T>,
    b: &CudaView<T>,
    y: &mut CudaSlice<T>,
) -> Result<()> {
    with_state(device, |state| {
        state.run(device, g, convolution, &mut Operands { a, b, y })
    })
}

/// Calls `work` with this thread's state for a GPU, which is created at its first use.
fn with_state<R>(
    device: &CudaDevice,
    work: impl FnOnce(&mut ThreadState) -> Result<R>,
) -> Result<R> {
    STATES.with(|states| {
        let mut states = states.borrow_mut();
        work(match states.entry(device.id()) {
            Entry::Occupied(state) => state.into_mut(),
            Entry::Vacant(entry) => entry.insert(ThreadState::new(device)?),
        })
    })
}

impl ThreadState {
    fn new(device: &CudaDevice) -> Result<ThreadState> {
        let off = AUTOTUNE
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| value == "off"));
        Ok(ThreadState {
            cudnn: Cudnn::new(device.cuda_stream())?,
            chosen: HashMap::new(),
            workspace: device.alloc_zeros::<u8>(1)?,
            budget: (!off).then_some(TOTAL_BUDGET),
        })
    }

    fn run<T: Element + CudnnType>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        convolution: Convolution,
        operands: &mut Operands<'_, '_, T>,
    ) -> Result<()> {
        let key = (convolution, T::SUFFIX, key_sizes(g));
        let candidate = match self.chosen.get(&key) {
            Some(candidate) => *candidate,
            None => {
                let candidate = self.choose(device, g, convolution, operands)?;
                self.chosen.insert(key, candidate);
                candidate
            }
        };
        self.launch(device, g, candidate, operands)
    }

    /// The fastest candidate, or the choice of cuDNN's heuristics where no time is left. Overwrites `y`.
    fn choose<T: Element + CudnnType>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        convolution: Convolution,
        operands: &mut Operands<'_, '_, T>,
    ) -> Result<Candidate> {
        let Some(left) = self.budget.filter(|left| !left.is_zero()) else {
            return Candidate::by_heuristics::<T>(
                &self.cudnn,
                g,
                convolution,
                Layout::ChannelsFirst,
            );
        };
        let start = Instant::now();
        let candidates = Candidate::all::<T>(&self.cudnn, g, convolution);
        let fastest = autotune::fastest(
            candidates,
            |candidate| self.time(device, g, candidate, operands),
            || start.elapsed() < SHAPE_BUDGET.min(left),
        );
        self.budget = Some(left.saturating_sub(start.elapsed()));
        self.shrink_workspace(
            device,
            fastest.as_ref().map_or(0, |candidate| candidate.workspace),
        )?;
        fastest
    }

    /// Shrinks the workspace to the larger of `bytes` and what the chosen candidates need. Candidates that were timed
    /// but not chosen may have needed more.
    fn shrink_workspace(&mut self, device: &CudaDevice, bytes: usize) -> Result<()> {
        let chosen = self.chosen.values().map(|candidate| candidate.workspace);
        let needed = chosen.chain([bytes, 1]).max().unwrap_or(1);
        if needed < self.workspace.len() {
            // SAFETY: a workspace is written before it is read.
            self.workspace = unsafe { device.alloc::<u8>(needed)? };
        }
        Ok(())
    }

    /// The GPU time of a candidate in milliseconds: the shortest of [`TIMED_RUNS`] runs.
    fn time<T: Element + CudnnType>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        candidate: Candidate,
        operands: &mut Operands<'_, '_, T>,
    ) -> Result<f32> {
        if candidate.workspace > MAX_WORKSPACE {
            let bytes = candidate.workspace;
            return Err(Error::msg(format!(
                "{candidate:?} needs {bytes} bytes of workspace"
            )));
        }
        let stream = device.cuda_stream();
        self.launch(device, g, candidate, operands)?;
        let event = || {
            stream
                .record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))
                .w()
        };
        let mut events = vec![event()?];
        for _ in 0..TIMED_RUNS {
            self.launch(device, g, candidate, operands)?;
            events.push(event()?);
        }
        let times = events
            .windows(2)
            .map(|pair| pair[0].elapsed_ms(&pair[1]).w());
        times
            .collect::<Result<Vec<f32>>>()
            .map(|times| times.into_iter().fold(f32::INFINITY, f32::min))
    }

    /// Enqueues the convolution with the algorithm and layout of `candidate`.
    fn launch<T: Element + CudnnType>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        candidate: Candidate,
        operands: &mut Operands<'_, '_, T>,
    ) -> Result<()> {
        if candidate.workspace > self.workspace.len() {
            // SAFETY: a workspace is written before it is read.
            self.workspace = unsafe { device.alloc::<u8>(candidate.workspace)? };
        }
        let workspace = (candidate.workspace > 0).then_some(&mut self.workspace);
        candidate.run(device, &self.cudnn, g, workspace, operands)
    }
}

fn key_sizes(g: &ConvGeometry) -> [usize; 10] {
    [
        g.n, g.ci, g.co, g.h, g.w, g.kh, g.kw, g.stride, g.padding, g.groups,
    ]
}
