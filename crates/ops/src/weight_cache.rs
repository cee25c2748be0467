//! A cache of transformed convolution weights, for times when the weights do not change.
//!
//! The CPU kernels transform weights before they convolve. A training step convolves with each weight several times:
//! with generated and real images, for values and tangents, forward and backward. Between [`scope`] and the drop of its
//! guard the caller promises not to change weights in place, so the transformed weights are reused. Outside a scope
//! each convolution transforms its weights again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::cpu::conv::{ConvGeometry, Direction, Prepared, prepare};
use crate::cpu::simd::{Isa, isa};
use kernels::{ConvAlgorithm, conv_algorithm};

/// Identifies transformed weights: the address and number of the original weights, and all settings that the transform
/// depends on.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    address: usize,
    weights: usize,
    gain: u64,
    direction: Direction,
    algorithm: ConvAlgorithm,
    isa: Isa,
    /// The sizes that determine which kernel is used and its layout of the weights.
    sizes: [usize; 9],
}

/// The transformed weights, each with the [`fingerprint`] of the original weights.
type Entries = HashMap<Key, (Rc<Prepared>, u64)>;

thread_local! {
    static CACHE: RefCell<Option<Entries>> = const { RefCell::new(None) };
}

/// Caches transformed weights on this thread until the guard is dropped. In nested scopes they stay cached until the
/// outermost guard is dropped.
///
/// Within the scope the caller must neither change nor free weights that it convolves with.
#[must_use = "the scope ends when the guard is dropped"]
pub fn scope() -> Scope {
    let outermost = CACHE.with(|cache| {
        let mut cache = cache.borrow_mut();
        let outermost = cache.is_none();
        if outermost {
            *cache = Some(HashMap::new());
        }
        outermost
    });
    Scope { outermost }
}

/// The guard of [`scope`]; the scope ends when the guard is dropped.
pub struct Scope {
    outermost: bool,
}

impl Drop for Scope {
    fn drop(&mut self) {
        if self.outermost {
            CACHE.with(|cache| *cache.borrow_mut() = None);
        }
    }
}

/// Hashes 64 to 127 of the weights (all of them when there are fewer), to detect that a buffer was freed and reused for
/// other weights inside a scope.
fn fingerprint(weights: &[f32]) -> u64 {
    let step = (weights.len() / 64).max(1);
    weights
        .iter()
        .step_by(step)
        .fold(weights.len() as u64, |hash, w| {
            (hash.rotate_left(5) ^ u64::from(w.to_bits())).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        })
}

/// Returns the transformed `weights` for a convolution; inside a scope, from the cache if it holds them.
pub(crate) fn prepared(g: &ConvGeometry, weights: &[f32], direction: Direction) -> Rc<Prepared> {
    CACHE.with(|cache| {
        let mut cache = cache.borrow_mut();
        let Some(cache) = cache.as_mut() else {
            return Rc::new(prepare(g, weights, direction));
        };
        let key = Key {
            address: weights.as_ptr() as usize,
            weights: weights.len(),
            gain: g.gain.to_bits(),
            direction,
            algorithm: conv_algorithm(),
            isa: isa(),
            sizes: [
                g.groups,
                g.co,
                g.ci,
                g.kh,
                g.kw,
                g.stride,
                g.padding,
                g.out_height().min(g.out_width()).min(4),
                usize::from(g.swapped),
            ],
        };
        let mark = fingerprint(weights);
        if let Some((prepared, known)) = cache.get(&key)
            && *known == mark
        {
            return prepared.clone();
        }
        let prepared = Rc::new(prepare(g, weights, direction));
        cache.insert(key, (prepared.clone(), mark));
        prepared
    })
}
