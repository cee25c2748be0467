//! Convolutions by cuDNN: sums in f32 whatever the type, and for each shape the way that was the fastest when it was
//! tried ([`trial`]), one workspace.

mod channels_last;
mod described;
#[cfg(test)]
mod tests;
mod way;

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

use self::described::Arrays;
pub(super) use self::described::Number;
use self::way::{Format, Way};
use super::card::Element;
use super::plan::Convolution;
use super::trial;
use crate::cpu::conv::ConvGeometry;

/// Set to `off`, it leaves the choice of algorithms to cuDNN's heuristics, without trials.
const TRIALS: &str = "KAOGAN_CUDNN_TRIALS";
/// Time on the clock after which a shape tries no further way, and after which no further shape is tried.
const SHAPE_BUDGET: Duration = Duration::from_millis(150);
const TOTAL_BUDGET: Duration = Duration::from_secs(20);
/// A way that is tried may work in so many bytes.
const WORKSPACE: usize = 512 << 20;
/// How often a way is timed, behind a first call that is not.
const TIMED: usize = 3;

/// What a way depends on: the convolution, the type and all sizes.
type Key = (Convolution, &'static str, [usize; 10]);

/// What a thread keeps for a card: handles of cuDNN belong to one.
struct Kept {
    cudnn: Arc<Cudnn>,
    ways: HashMap<Key, Way>,
    /// As large as the hungriest way so far wants; all work is in one stream, so one is enough.
    workspace: CudaSlice<u8>,
    /// What is left for trials; `None` where there are none.
    budget: Option<Duration>,
}

thread_local! {
    static KEPT: RefCell<HashMap<DeviceId, Kept>> = RefCell::default();
}

/// Convolves `a` with `b` into `y`: `(x, w) -> y`, `(dy, w) -> dx` or `(x, dy) -> dw`.
///
/// The gain of `g` is the factor that cuDNN applies to its sums, so weights need no scaled copy.
///
/// # Errors
/// What cuDNN says.
pub(super) fn run<T: Element + Number>(
    device: &CudaDevice,
    g: &ConvGeometry,
    convolution: Convolution,
    a: &CudaView<T>,
    b: &CudaView<T>,
    y: &mut CudaSlice<T>,
) -> Result<()> {
    with_kept(device, |kept| {
        kept.run(device, g, convolution, &mut Arrays { a, b, y })
    })
}

/// Works with what this thread keeps for a card.
fn with_kept<R>(device: &CudaDevice, work: impl FnOnce(&mut Kept) -> Result<R>) -> Result<R> {
    KEPT.with(|kept| {
        let mut kept = kept.borrow_mut();
        work(match kept.entry(device.id()) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(place) => place.insert(Kept::new(device)?),
        })
    })
}

impl Kept {
    fn new(device: &CudaDevice) -> Result<Kept> {
        let off = std::env::var_os(TRIALS).is_some_and(|value| value == "off");
        Ok(Kept {
            cudnn: Cudnn::new(device.cuda_stream())?,
            ways: HashMap::new(),
            workspace: device.alloc_zeros::<u8>(1)?,
            budget: (!off).then_some(TOTAL_BUDGET),
        })
    }

    fn run<T: Element + Number>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        convolution: Convolution,
        arrays: &mut Arrays<'_, '_, T>,
    ) -> Result<()> {
        let key = (convolution, T::SUFFIX, key_sizes(g));
        let way = match self.ways.get(&key) {
            Some(way) => *way,
            None => {
                let way = self.choose(device, g, convolution, arrays)?;
                self.ways.insert(key, way);
                way
            }
        };
        self.follow(device, g, way, arrays)
    }

    /// The way that cuDNN's heuristics name, or the fastest one where there is time for trials. `y` holds anything then.
    fn choose<T: Element + Number>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        convolution: Convolution,
        arrays: &mut Arrays<'_, '_, T>,
    ) -> Result<Way> {
        let Some(left) = self.budget.filter(|left| !left.is_zero()) else {
            return Way::by_heuristics::<T>(&self.cudnn, g, convolution, Format::ChannelsFirst);
        };
        let start = Instant::now();
        let candidates = Way::candidates::<T>(&self.cudnn, g, convolution);
        let fastest = trial::fastest(
            candidates,
            |way| self.time(device, g, way, arrays),
            || start.elapsed() < SHAPE_BUDGET.min(left),
        );
        self.budget = Some(left.saturating_sub(start.elapsed()));
        self.give_back(device, fastest.as_ref().map_or(0, |way| way.workspace))?;
        fastest
    }

    /// Keeps no larger workspace than `bytes`, or than the ways want that were chosen before: those that were tried may
    /// have wanted more.
    fn give_back(&mut self, device: &CudaDevice, bytes: usize) -> Result<()> {
        let chosen = self.ways.values().map(|way| way.workspace);
        let wanted = chosen.chain([bytes, 1]).max().unwrap_or(1);
        if wanted < self.workspace.len() {
            // SAFETY: a workspace is written before it is read.
            self.workspace = unsafe { device.alloc::<u8>(wanted)? };
        }
        Ok(())
    }

    /// Milliseconds of a way on the card: the shortest of a few runs, after one that loads what it needs.
    fn time<T: Element + Number>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        way: Way,
        arrays: &mut Arrays<'_, '_, T>,
    ) -> Result<f32> {
        if way.workspace > WORKSPACE {
            let bytes = way.workspace;
            return Err(Error::msg(format!("{way:?} works in {bytes} bytes")));
        }
        let stream = device.cuda_stream();
        self.follow(device, g, way, arrays)?;
        let event = || {
            stream
                .record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))
                .w()
        };
        let mut events = vec![event()?];
        for _ in 0..TIMED {
            self.follow(device, g, way, arrays)?;
            events.push(event()?);
        }
        let times = events
            .windows(2)
            .map(|pair| pair[0].elapsed_ms(&pair[1]).w());
        times
            .collect::<Result<Vec<f32>>>()
            .map(|times| times.into_iter().fold(f32::INFINITY, f32::min))
    }

    /// Convolves in a way.
    fn follow<T: Element + Number>(
        &mut self,
        device: &CudaDevice,
        g: &ConvGeometry,
        way: Way,
        arrays: &mut Arrays<'_, '_, T>,
    ) -> Result<()> {
        if way.workspace > self.workspace.len() {
            // SAFETY: a workspace is written before it is read.
            self.workspace = unsafe { device.alloc::<u8>(way.workspace)? };
        }
        let workspace = (way.workspace > 0).then_some(&mut self.workspace);
        way.follow(device, &self.cudnn, g, workspace, arrays)
    }
}

fn key_sizes(g: &ConvGeometry) -> [usize; 10] {
    [
        g.n, g.ci, g.co, g.h, g.w, g.kh, g.kw, g.stride, g.padding, g.groups,
    ]
}
