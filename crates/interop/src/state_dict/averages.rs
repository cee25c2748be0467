//! Finds the averages of `w` among the tensor names of a file, and decides which generator each belongs to.
//!
//! rosinality's program stores `latent_avg` at the top level, NVIDIA's code `mapping.w_avg` among the tensors of each
//! generator. In files that other tools saved again, a tensor of either name can be at the top level, beside the
//! tensors of a state dict, below `module.` or below the key of the network. A generator uses the average whose name
//! shares the longest prefix with the generator's own tensors.

use super::{Found, WRAPPERS};
use crate::rosinality::{LATENT_AVG, LATENT_AVG_OF_G};

/// The possible last words of the name of an average of `w`. Among averages with the same prefix, the one whose last
/// word comes first in this list is used.
const NAMES: [&str; 4] = [LATENT_AVG, "w_avg", "dlatent_avg", LATENT_AVG_OF_G];

/// Whether a tensor with this name is an average of `w`.
pub(super) fn is_average(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    NAMES.contains(&last)
}

/// An average of `w` in a file.
#[derive(Debug)]
pub(super) struct Average {
    /// Its index in the tensor names passed to [`find`].
    pub at: usize,
    /// The [`words`] of its name without the last word, and without `mapping` if that is the word before the last.
    owner: Vec<String>,
    /// Index of the last word of its name in [`NAMES`].
    rank: usize,
}

/// Returns all averages of `w` among these tensor names.
pub(super) fn find(names: &[String]) -> Vec<Average> {
    let all = names.iter().enumerate().filter_map(|(at, name)| {
        let (owner, last) = name.rsplit_once('.').unwrap_or(("", name));
        let rank = NAMES.iter().position(|known| *known == last)?;
        let mut owner = words(owner);
        owner.pop_if(|word| *word == "mapping");
        Some(Average { at, owner, rank })
    });
    all.collect()
}

/// The lower-case words of a prefix, without those in [`WRAPPERS`].
fn words(prefix: &str) -> Vec<String> {
    prefix
        .split('.')
        .filter(|word| !word.is_empty() && !WRAPPERS.contains(word))
        .map(str::to_lowercase)
        .collect()
}

/// Indices (among the tensor names) of the averages whose prefix is the start of the network's prefix.
pub(super) fn around(averages: &[Average], network: &Found<'_>) -> impl Iterator<Item = usize> {
    let of = words(network.prefix);
    averages
        .iter()
        .filter(move |average| of.starts_with(&average.owner))
        .map(|average| average.at)
}

/// Chooses the average of `w` for the generator `network` from `averages`, the result of [`find`]. The returned flag is
/// `true` if the average belongs to this generator, and `false` if it belongs to `G_ema` and `G` uses it for lack of
/// its own.
///
/// `slot` is the key of the generator, `G` or `G_ema`; `found` are all networks of the file. An average whose prefix
/// contains several generators belongs to `G_ema`.
pub(super) fn of<'a>(
    averages: &'a [Average],
    network: &Found<'_>,
    slot: &str,
    found: &[Found<'_>],
) -> Option<(&'a Average, bool)> {
    let is_of_g = |average: &Average| NAMES[average.rank] == LATENT_AVG_OF_G;
    let nearest = |network: &Found<'_>, for_g: bool| {
        let of = words(network.prefix);
        averages
            .iter()
            .filter(|average| is_of_g(average) == for_g && of.starts_with(&average.owner))
            .max_by_key(|average| (average.owner.len(), std::cmp::Reverse(average.rank)))
    };
    let n_generators = found.iter().filter(|other| other.is_generator()).count();
    let is_own = |average: &Average| {
        n_generators == 1 && slot != "G" || average.owner == words(network.prefix)
    };
    let above = nearest(network, false);
    if let Some(own) = above.filter(|average| is_own(average)) {
        return Some((own, true));
    }
    if let Some(own) = nearest(network, true).filter(|_| slot == "G") {
        return Some((own, true));
    }
    let of_neighbor = || {
        let others = found.iter().filter(|other| other.is_generator());
        let mut others = others.filter(|_| slot == "G");
        others.find_map(|other| nearest(other, false))
    };
    // A single average that is inside no network belongs to the only generator of the file.
    let alone = || match averages {
        [average] if n_generators == 1 && !is_of_g(average) => {
            let is_below = |other: &Found<'_>| average.owner.starts_with(&words(other.prefix));
            let below = found.iter().filter(|other| !other.prefix.is_empty());
            (!below.into_iter().any(is_below)).then_some(average)
        }
        _ => None,
    };
    let shared = above.or_else(of_neighbor).or_else(alone)?;
    Some((shared, slot != "G"))
}
