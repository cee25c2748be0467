//! A cache of kernel transforms, for weights that do not change.
//!
//! A training step uses each weight at least four times (fakes and reals, value and tangent, forward and backward).
//! Between [`scope`] and its drop the caller promises not to change any weight in place, so transforms are reused.
//! Outside a scope every call transforms the weights again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::cpu::conv::{ConvGeometry, Direction, Prepared, prepare};
use crate::cpu::simd::{Isa, isa};
use kernels::{ConvAlgorithm, conv_algorithm};

/// The address of weights and their use.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    address: usize,
    weights: usize,
    gain: u64,
    direction: Direction,
    algorithm: ConvAlgorithm,
    isa: Isa,
    /// The sizes that determine the kernel and the layout.
    sizes: [usize; 9],
}

/// Transformed weights with the fingerprint of the original ones.
type Entries = HashMap<Key, (Rc<Prepared>, u64)>;

thread_local! {
    static CACHE: RefCell<Option<Entries>> = const { RefCell::new(None) };
}

/// Caches transforms of weights until the guard is dropped; nested scopes are part of the outermost.
///
/// The caller must not change or free weights that it convolves with inside the scope.
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

/// The guard of [`scope`].
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

/// A hash of some values: detects a buffer that was freed and reused for other weights inside a scope.
fn fingerprint(weights: &[f32]) -> u64 {
    let step = (weights.len() / 64).max(1);
    weights
        .iter()
        .step_by(step)
        .fold(weights.len() as u64, |hash, w| {
            (hash.rotate_left(5) ^ u64::from(w.to_bits())).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        })
}

/// The transforms of `weights`, from the cache inside a scope.
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
