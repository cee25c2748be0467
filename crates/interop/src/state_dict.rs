//! Finds the networks in a state dict by the names of their tensors, whatever prefix the names have.
//!
//! Files contain `{"g_ema": {...}}`, a bare `{...}`, `{"state_dict": {"module.generator....": ...}}` and more. A
//! network is found where at least two of the tensor names that identify it ([`MARKS`]) have the same prefix. The words
//! of the prefix then decide whether a generator is `G` or `G_ema`.

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

/// The naming scheme of a network's tensors (rosinality/stylegan2-pytorch or NVIDIA's PyTorch code), and whether it is
/// a generator (`G`) or a discriminator (`D`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Naming {
    RosinalityG,
    RosinalityD,
    OfficialG,
    OfficialD,
}

/// Tensor names that only this kind of network has. Two of them with the same prefix identify the network.
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

/// Words in the prefix of a tensor name that wrappers such as `DataParallel` and `torch.compile` add. They do not say
/// which network it is.
const WRAPPERS: [&str; 5] = ["module", "_orig_mod", "model", "state_dict", "net"];

/// A network that was found, with the common prefix of its tensor names (empty, or ending with a dot).
#[derive(Debug)]
struct Found<'n> {
    prefix: &'n str,
    naming: Naming,
}

impl Found<'_> {
    fn is_generator(&self) -> bool {
        matches!(self.naming, Naming::RosinalityG | Naming::OfficialG)
    }

    /// The prefix without its last dot, for messages; "the file itself" for an empty prefix.
    fn key(&self) -> &str {
        match self.prefix.trim_end_matches('.') {
            "" => "the file itself",
            key => key,
        }
    }

    /// The network's key in a [`Contents`]: `D` for a discriminator; for a generator `G` or `G_ema` by the words of its
    /// prefix, or `None` when no word says which.
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

/// The names of all tensors of a file, with a function that reads one of them.
pub(crate) struct Listing<'l> {
    /// Path of each tensor in the saved object, for example `g_ema.conv1.conv.weight`.
    pub names: Vec<String>,
    /// Reads the tensor at an index of `names`.
    pub load: &'l dyn Fn(usize) -> Result<Tensor>,
    /// Top-level keys of the saved object, including keys of values that are no tensors.
    pub keys: Vec<String>,
}

/// Whether these tensor names contain at least one network.
pub(crate) fn has_network(names: &[String]) -> bool {
    !find(names).is_empty()
}

/// Whether all networks among these tensor names use the names of NVIDIA's PyTorch code.
pub(crate) fn is_official(names: &[String]) -> bool {
    find(names)
        .iter()
        .all(|found| matches!(found.naming, Naming::OfficialG | Naming::OfficialD))
}

/// Reads all networks of a state dict. The notes of the result list assumptions and values that were not read.
///
/// # Errors
/// `Layout`, naming the keys of the file, when there is no network, or when two networks would both be `G`, `D` or
/// `G_ema`; `Unsupported` when there is no network and the tensor names are those of another known program; errors of
/// reading a network.
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
            // An average of w can be anywhere in the file; it is looked up below.
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

/// Finds the networks among these tensor names, in the order in which the file first names them.
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

/// Returns the key of each network: `G`, `D` or `G_ema`.
///
/// # Errors
/// `Layout` when two networks would get the same key.
fn slots(found: &[Found<'_>]) -> Result<Vec<&'static str>> {
    let named: Vec<Option<&'static str>> = found.iter().map(Found::slot).collect();
    let n_unnamed = named.iter().filter(|slot| slot.is_none()).count();
    let has_average = named.contains(&Some("G_ema"));
    let mut taken: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut slots = Vec::new();
    for (network, slot) in found.iter().zip(named) {
        // A generator whose prefix does not say which one it is counts as G_ema, the one that generates images.
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

/// Whether a tensor name without prefix can belong to a network of this naming scheme, judged by its first word.
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

/// Returns one note for each top-level key whose values belong to no network. `used[i]` is whether the tensor
/// `names[i]` was read.
fn left_out(listing: &Listing<'_>, found: &[Found<'_>], used: &[bool]) -> Vec<String> {
    let mut unused: IndexMap<&str, usize> = IndexMap::new();
    let has_generator = found.iter().any(Found::is_generator);
    for (name, _) in listing.names.iter().zip(used).filter(|(_, used)| !**used) {
        if averages::is_average(name) {
            // Without a generator, leaving out an average of w loses nothing.
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
            // The network is below this key, or the key is the name of one of its tensors.
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

/// The error for a file without a known network. It names the program that wrote the file, if the tensor names identify
/// one, and lists the keys of the file.
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
