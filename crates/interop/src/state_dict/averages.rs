//! The averages of w among named tensors, and the generators that they belong to.
//!
//! rosinality's program keeps `latent_avg` beside its networks, the official one `mapping.w_avg` among the tensors of
//! each. Files that were saved again have either anywhere: at the top level, beside the tensors of a state dict, behind
//! `module.` or the key of the network. A network's average is the one nearest to it.

use super::{Found, WRAPPERS};
use crate::rosinality::{LATENT_AVG, LATENT_AVG_OF_G};

/// Last words of the names of averages.
const NAMES: [&str; 4] = [LATENT_AVG, "w_avg", "dlatent_avg", LATENT_AVG_OF_G];

/// Whether a name is that of an average of w.
pub(super) fn is_average(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    NAMES.contains(&last)
}

/// An average of w.
#[derive(Debug)]
pub(super) struct Average {
    /// Its index among the names.
    pub at: usize,
    /// The part of the name before it, as [`words`].
    owner: Vec<String>,
    /// Its index among [`NAMES`].
    rank: usize,
}

/// All averages among the names.
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

/// The words of a prefix that say which network it is.
fn words(prefix: &str) -> Vec<String> {
    prefix
        .split('.')
        .filter(|word| !word.is_empty() && !WRAPPERS.contains(word))
        .map(str::to_lowercase)
        .collect()
}

/// Indices of the averages that could belong to a network, by their prefixes.
pub(super) fn around(averages: &[Average], network: &Found<'_>) -> impl Iterator<Item = usize> {
    let of = words(network.prefix);
    averages
        .iter()
        .filter(move |average| of.starts_with(&average.owner))
        .map(|average| average.at)
}

/// The average of a generator among [`find`]'s, and whether it is its own rather than that of its neighbor.
///
/// `slot` is `G` or `G_ema`. An average that stands above several generators is that of `G_ema`.
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
    // One that is below no network belongs to the only generator that there is.
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
