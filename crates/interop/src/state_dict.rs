//! Networks in state dicts, found by the names of their tensors behind any prefix.
//!
//! People save `{"g_ema": {...}}`, a bare `{...}`, `{"state_dict": {"module.generator....": ...}}` and more. A network
//! is found where several of its distinctive names share one prefix; the prefix tells which network it is.

mod averages;

use architecture::NetworkKind;
use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::checkpoint::Contents;
use crate::error::{Error, Result, layout};
use crate::infer::{self, Stated};
use crate::missing;
use crate::rosinality;
use crate::tensor::Tensor;

/// The program whose names are used, and the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Naming {
    RosinalityG,
    RosinalityD,
    OfficialG,
    OfficialD,
}

/// Distinctive names of this network: two of them identify it.
const MARKS: [(Naming, &[&str]); 4] = [
    (
        Naming::RosinalityG,
        &["conv1.conv.weight", "to_rgb1.conv.weight", "input.input"],
    ),
    (
        Naming::RosinalityD,
        &[
            "final_conv.0.weight",
            "final_linear.0.weight",
            "convs.0.0.weight",
        ],
    ),
    (
        Naming::OfficialG,
        &[
            "synthesis.b4.const",
            "synthesis.b4.conv1.weight",
            "synthesis.b4.torgb.weight",
        ],
    ),
    (
        Naming::OfficialD,
        &["b4.conv.weight", "b4.fc.weight", "b4.out.weight"],
    ),
];

/// Prefix words that do not tell which network it is.
const WRAPPERS: [&str; 5] = ["module", "_orig_mod", "model", "state_dict", "net"];

/// A network, by the prefix of its names.
#[derive(Debug)]
struct Found<'n> {
    prefix: &'n str,
    naming: Naming,
}

impl Found<'_> {
    fn is_generator(&self) -> bool {
        matches!(self.naming, Naming::RosinalityG | Naming::OfficialG)
    }

    /// The prefix as shown to the user.
    fn key(&self) -> &str {
        match self.prefix.trim_end_matches('.') {
            "" => "the file itself",
            key => key,
        }
    }

    /// The official key that the prefix names, for a generator; `None` when it names neither.
    fn slot(&self) -> Option<&'static str> {
        if !self.is_generator() {
            return Some("D");
        }
        let words: Vec<String> = self.prefix.split('.').map(str::to_lowercase).collect();
        let any = |of: &dyn Fn(&str) -> bool| words.iter().any(|word| of(word));
        let is_average = |word: &str| {
            word.contains("ema")
                || word.contains("smooth")
                || matches!(word, "gs" | "g_running" | "g_s" | "g_avg" | "averaged")
        };
        if any(&is_average) {
            Some("G_ema")
        } else if any(&|word| matches!(word, "g" | "generator" | "gen" | "netg" | "params")) {
            Some("G")
        } else {
            None
        }
    }
}

/// Names of tensors, with a function that reads them.
pub(crate) struct Listing<'l> {
    /// Paths of the tensors in the saved object.
    pub names: Vec<String>,
    /// Reads one by its index.
    pub load: &'l dyn Fn(usize) -> Result<Tensor>,
    /// Top-level keys of the saved object, also those of other values than tensors.
    pub keys: Vec<String>,
}

/// Whether the names contain a network.
pub(crate) fn has_network(names: &[String]) -> bool {
    !find(names).is_empty()
}

/// Whether all networks use the official names.
pub(crate) fn is_official(names: &[String]) -> bool {
    find(names)
        .iter()
        .all(|found| matches!(found.naming, Naming::OfficialG | Naming::OfficialD))
}

/// Reads the networks.
///
/// # Errors
/// `Layout`, naming the keys, when there is none, or two for one key; errors of the networks themselves.
pub(crate) fn read(listing: &Listing<'_>) -> Result<Contents> {
    let found = find(&listing.names);
    if found.is_empty() {
        return Err(refusal(listing));
    }
    let mut out = Contents::default();
    let slots = slots(&found)?;
    let averages = averages::find(&listing.names);
    let mut used = vec![false; listing.names.len()];
    for (network, slot) in found.iter().zip(slots) {
        let mut tensors = IndexMap::new();
        for (i, name) in listing.names.iter().enumerate() {
            let Some(rest) = name.strip_prefix(network.prefix) else {
                continue;
            };
            // Averages are looked for below, wherever they stand.
            if averages::is_average(rest) && rest != "mapping.w_avg" {
                continue;
            }
            let is_anothers = found.iter().any(|other| {
                other.prefix.len() > network.prefix.len() && name.starts_with(other.prefix)
            });
            if !is_anothers && (!network.prefix.is_empty() || belongs(network.naming, rest)) {
                tensors.insert(rest.to_owned(), (listing.load)(i)?);
                used[i] = true;
            }
        }
        let key = match network.prefix {
            "" => slot,
            _ => network.key(),
        };
        let mut average = None;
        if network.is_generator() {
            let is_official =
                tensors.contains_key("mapping.w_avg") && network.naming == Naming::OfficialG;
            if is_official {
                averages::around(&averages, network).for_each(|at| used[at] = true);
            }
            let nearest = averages::of(&averages, network, slot, &found);
            if let Some((nearest, is_own)) = nearest.filter(|_| !is_official) {
                if !is_own {
                    out.notes.push(format!(
                        "{key} has no latent_avg of its own: w_avg is that of g_ema"
                    ));
                }
                average = Some((listing.load)(nearest.at)?);
                used[nearest.at] = true;
            }
        }
        let made = match network.naming {
            Naming::RosinalityG => {
                tensors.shift_remove("mapping.w_avg");
                rosinality::generator(&tensors, average.as_ref(), key, &mut out.notes)?
            }
            Naming::RosinalityD => rosinality::discriminator(&tensors)?,
            Naming::OfficialG => {
                if let Some(average) = &average {
                    missing::add_average(&mut tensors, average, key, &mut out.notes);
                }
                missing::generator(tensors, key, &mut out.notes, Stated::nothing())?
            }
            Naming::OfficialD => {
                infer::network(NetworkKind::Discriminator, tensors, Stated::nothing())?
            }
        };
        if let Some(place) = out.slot(slot) {
            *place = Some(made);
        }
    }
    out.notes.extend(left_out(listing, &found, &used));
    Ok(out)
}

/// Prefixes of networks, in the order of the names.
fn find(names: &[String]) -> Vec<Found<'_>> {
    let mut counts: IndexMap<(&str, Naming), usize> = IndexMap::new();
    for name in names {
        for (naming, marks) in MARKS {
            for mark in marks {
                let prefix = name.strip_suffix(mark);
                if let Some(prefix) = prefix.filter(|p| p.is_empty() || p.ends_with('.')) {
                    *counts.entry((prefix, naming)).or_default() += 1;
                }
            }
        }
    }
    let found = counts.into_iter().filter(|(_, count)| *count > 1);
    found
        .map(|((prefix, naming), _)| Found { prefix, naming })
        .collect()
}

/// The official key of each network.
fn slots(found: &[Found<'_>]) -> Result<Vec<&'static str>> {
    let named: Vec<Option<&'static str>> = found.iter().map(Found::slot).collect();
    let n_unnamed = named.iter().filter(|slot| slot.is_none()).count();
    let has_average = named.contains(&Some("G_ema"));
    let mut taken: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut slots = Vec::new();
    for (network, slot) in found.iter().zip(named) {
        // A generator that is the only candidate is the one to make images with.
        let slot = slot.unwrap_or("G_ema");
        taken.entry(slot).or_default().push(network.key());
        slots.push(slot);
    }
    for (slot, keys) in taken {
        if keys.len() > 1 || (slot == "G_ema" && n_unnamed > 0 && has_average) {
            return Err(layout!(
                "several networks could be {slot}: `{}`. Save one of them alone, or under the key {}",
                keys.join("`, `"),
                slot.to_lowercase()
            ));
        }
    }
    Ok(slots)
}

/// Whether a top-level name of a bare state dict can be a tensor of the network.
fn belongs(naming: Naming, name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    match naming {
        Naming::RosinalityG => matches!(
            first,
            "style" | "input" | "noises" | "conv1" | "to_rgb1" | "convs" | "to_rgbs"
        ),
        Naming::RosinalityD => matches!(first, "convs" | "final_conv" | "final_linear"),
        Naming::OfficialG => matches!(first, "synthesis" | "mapping"),
        Naming::OfficialD => {
            first == "mapping"
                || first.strip_prefix('b').is_some_and(|side| {
                    !side.is_empty() && side.bytes().all(|b| b.is_ascii_digit())
                })
        }
    }
}

/// Notes on values that belong to no network, by top-level key.
fn left_out(listing: &Listing<'_>, found: &[Found<'_>], used: &[bool]) -> Vec<String> {
    let mut unused: IndexMap<&str, usize> = IndexMap::new();
    let has_generator = found.iter().any(Found::is_generator);
    for (name, _) in listing.names.iter().zip(used).filter(|(_, used)| !**used) {
        if averages::is_average(name) {
            // The average of what is not there is no loss.
            if has_generator && !name.ends_with(rosinality::LATENT_AVG_OF_G) {
                unused.entry(name).or_default();
            }
            continue;
        }
        let words: Vec<&str> = name.split('.').collect();
        let at = words.iter().position(|word| !WRAPPERS.contains(word));
        *unused.entry(words[at.unwrap_or(0)]).or_default() += 1;
    }
    for key in &listing.keys {
        let below = format!("{key}.");
        let holds_a_network = found.iter().any(|network| {
            // The key is above the network, or is the name of one of its tensors.
            network.prefix.starts_with(&below) || key.starts_with(network.prefix)
        });
        let below =
            |average: &&String| average.starts_with(&below) && averages::is_average(average);
        let is_of_averages = averages::is_average(key) || listing.names.iter().any(|n| below(&n));
        if !holds_a_network && !is_of_averages {
            unused.entry(key.as_str()).or_default();
        }
    }
    let shown = |key: &str| key.chars().take(60).collect::<String>();
    unused
        .into_iter()
        .map(|(key, n)| match n {
            0 | 1 => format!("`{}` was left out", shown(key)),
            n => format!("`{}` ({n} tensors) was left out", shown(key)),
        })
        .collect()
}

/// The error for a file without a network: the program that wrote the file, if its names tell, and the keys.
fn refusal(listing: &Listing<'_>) -> Error {
    let any = |part: &str| listing.names.iter().any(|name| name.contains(part));
    let program = if any("synthesis.input.") {
        return Error::Unsupported(
            "this is a StyleGAN3 generator; only StyleGAN2 and StyleGAN2-ADA are read".into(),
        );
    } else if any("to_style1.weight") || any("initial_block") {
        Some("lucidrains/stylegan2-pytorch")
    } else if any("stylegan_decoder") {
        Some("GFPGAN")
    } else if any("style_mapping.") || any("constant_input.") {
        Some("mmgeneration (MMagic)")
    } else if any("mapping.dense0.weight") || any("synthesis.layer0.weight") {
        Some("GenForce")
    } else if any("progression.0.") {
        Some("rosinality/style-based-gan-pytorch (StyleGAN)")
    } else if any("diffusion_model.") {
        Some("Stable Diffusion")
    } else {
        None
    };
    let keys = shown_keys(listing);
    match program {
        Some(program) => Error::Unsupported(format!(
            "this is a checkpoint of {program}, which is not read; StyleGAN2 and StyleGAN2-ADA of NVIDIA and \
             rosinality/stylegan2-pytorch are (the file holds {keys})"
        )),
        None => layout!(
            "no StyleGAN2 network under names that are known (a state dict of rosinality/stylegan2-pytorch or of the \
             official networks, bare or below `g_ema`, `g`, `d`): the file holds {keys}"
        ),
    }
}

fn shown_keys(listing: &Listing<'_>) -> String {
    const SHOWN: usize = 6;
    let quoted = |key: &String| format!("`{}`", key.chars().take(60).collect::<String>());
    let shown: Vec<String> = listing.keys.iter().take(SHOWN).map(quoted).collect();
    match listing.keys.len().saturating_sub(SHOWN) {
        _ if shown.is_empty() => "no named tensors".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
