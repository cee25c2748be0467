//! In-place arithmetic on weights, of one kind for all devices: what an optimizer and a moving average do.
//!
//! The CPU's side is a function that the caller gives; a card has a kernel of the same meaning.

use candle_core::{CudaStorage, Layout, Result};

/// What happens to each value `x`, given `y` (and `z`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// `x = y`
    Set,
    /// `x = beta x + (1 - beta) y`, computed from the nearer end.
    Average {
        /// The share of the old value.
        beta: f32,
    },
    /// `x = beta x + rest y`, where `y` is a gradient: none for NaN, 1e5 for infinity.
    Mean {
        /// The share of the old value.
        beta: f32,
        /// `1 - beta`, rounded once.
        rest: f32,
    },
    /// As `Mean`, of squares.
    Square {
        /// The share of the old value.
        beta: f32,
        /// `1 - beta`, rounded once.
        rest: f32,
    },
    /// `x -= step_size * y / (sqrt(z) / root_correction + eps)`
    Adam {
        /// The learning rate with the correction of the mean.
        step_size: f32,
        /// The root of the correction of the squares.
        root_correction: f32,
        /// Keeps from dividing by zero.
        eps: f32,
    },
}

impl Update {
    #[cfg(feature = "cuda")]
    fn kernel(&self) -> (&'static str, Vec<f32>) {
        match *self {
            Update::Set => ("update_set", vec![]),
            Update::Average { beta } => ("update_average", vec![beta]),
            Update::Mean { beta, rest } => ("update_mean", vec![beta, rest]),
            Update::Square { beta, rest } => ("update_square", vec![beta, rest]),
            Update::Adam {
                step_size,
                root_correction,
                eps,
            } => ("update_adam", vec![step_size, root_correction, eps]),
        }
    }

    /// Carries it out on a card. `others` are `y` and, for Adam, `z`; the caller checked that shapes are equal.
    ///
    /// # Errors
    /// When a tensor is not contiguous f32; what the driver says.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn on_card(
        &self,
        x: &mut CudaStorage,
        layout: &Layout,
        others: &[(&CudaStorage, &Layout)],
    ) -> Result<()> {
        #[cfg(feature = "cuda")]
        {
            let (name, floats) = self.kernel();
            crate::cuda::card::update(x, layout, others, name, &floats)
        }
        #[cfg(not(feature = "cuda"))]
        Err(candle_core::Error::NotCompiledWithCudaSupport)
    }
}
