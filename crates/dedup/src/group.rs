//! Groups duplicates as stars: an image joins a star only if its pixels were compared with those of the image at the
//! center of the star, and it is a copy or variant of that *center*.
//!
//! Copies do not chain: if A is a copy of B and B is a copy of C, this alone does not put A and C into one star. Images
//! become centers in the order of their quality, best first, so the result depends only on the images and their order.

use crate::hash::ImageHash;
use crate::index::{Match, SearchError, SearchOptions, search, search_between};
use crate::quality::CopyQuality;
use crate::verify::{Relation, Verification};
use rayon::prelude::*;
use std::collections::HashMap;

/// Result of [`candidates`]: the pairs of images whose pixels should be compared.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// The pairs, sorted by `a`, then `b`. A pair occurs twice if its images have near hashes both as they are and with
    /// one image mirrored.
    pub pairs: Vec<Candidate>,
    /// Number of hashes that reached [`SearchOptions::max_matches`], summed over the searches (plain, trimmed,
    /// mirrored); 0 means that no pair within the radius was left out.
    pub capped: usize,
}

/// A pair of images whose pixels should be compared, since their hashes are near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Position of the first image in the list.
    pub a: u32,
    /// Position of the second image in the list, `a < b`.
    pub b: u32,
    /// Hamming distance of the two hashes that were near; 0 for images of low information.
    pub distance: u32,
    /// Whether `b` is near to `a` mirrored left to right, instead of to `a` itself.
    pub is_mirrored: bool,
}

/// Finds the pairs of images whose pixels should be compared.
///
/// These are the pairs whose 64-bit hashes are at most `options.radius` bits apart, and the pairs where the hash of one
/// image is at most `options.radius - 2` bits from a trimmed hash of the other. If `is_mirrored` is set, pairs in which
/// one image has to be mirrored for this are included. Images of low information ([`ImageHash::is_low_information`])
/// are paired only when their 256-bit hashes and mean colors are equal.
///
/// `images` holds for each image its hash and its [`Thumb::mean_rgb`](crate::Thumb::mean_rgb).
///
/// # Errors
/// As for [`search`].
pub fn candidates(
    images: &[(ImageHash, [u8; 3])],
    options: SearchOptions,
    is_mirrored: bool,
) -> Result<Candidates, SearchError> {
    let (rich, poor): (Vec<u32>, Vec<u32>) =
        (0..images.len() as u32).partition(|&i| !images[i as usize].0.is_low_information());
    let hashes: Vec<u64> = rich.iter().map(|&i| images[i as usize].0.plain).collect();
    let mut out = Candidates::default();
    let take = |out: &mut Candidates, matches: Vec<Match>, is_mirrored: bool| {
        out.pairs
            .extend(matches.into_iter().filter(|m| m.a != m.b).map(|m| {
                let (a, b) = (rich[m.a as usize], rich[m.b as usize]);
                Candidate {
                    a: a.min(b),
                    b: a.max(b),
                    distance: m.distance,
                    is_mirrored,
                }
            }));
    };
    let plain = search(&hashes, options)?;
    out.capped = plain.capped;
    take(&mut out, plain.pairs, false);
    let mut between =
        |other: &dyn Fn(&ImageHash) -> u64, options, is_mirrored| -> Result<(), SearchError> {
            let targets: Vec<u64> = rich.iter().map(|&i| other(&images[i as usize].0)).collect();
            let found = search_between(&hashes, &targets, options)?;
            out.capped += found.capped;
            take(&mut out, found.pairs, is_mirrored);
            Ok(())
        };
    // The hash of a cropped copy is very near a trimmed hash of the original, so a smaller radius suffices.
    let trimmed = SearchOptions {
        radius: options.radius.saturating_sub(2),
        ..options
    };
    for corner in 0..4 {
        between(&|h| h.trimmed[corner], trimmed, false)?;
    }
    if is_mirrored {
        between(&|h| h.mirrored, options, true)?;
        for corner in 0..4 {
            between(&|h| h.trimmed_mirrored[corner], trimmed, true)?;
        }
    }
    // An image of low information is paired only with the first image that has the same 256-bit hash and mean color.
    let mut first_of_kind = HashMap::new();
    for i in poor {
        let (hash, mean) = &images[i as usize];
        let first = *first_of_kind.entry((hash.wide, *mean)).or_insert(i);
        if first != i {
            out.pairs.push(Candidate {
                a: first,
                b: i,
                distance: 0,
                is_mirrored: false,
            });
        }
    }
    // Keep the plain and the mirrored candidate of a pair, each with its least distance: the pixels may agree in only
    // one of these ways.
    out.pairs
        .par_sort_unstable_by_key(|c| (c.a, c.b, c.is_mirrored, c.distance));
    out.pairs.dedup_by_key(|c| (c.a, c.b, c.is_mirrored));
    Ok(out)
}

/// Options of [`group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOptions {
    /// Largest number of variants that are kept in a group besides its best image; `None` keeps all.
    pub max_variants: Option<u32>,
}

/// Result of [`group`] for one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// Whether the image is kept, and if not, why.
    pub role: Role,
    /// Position of the image with which this one was compared; its own position for [`Role::Best`].
    ///
    /// For a copy the center is the better copy, for a variant it is the best image of the group.
    pub center: u32,
    /// Position of the best image of the group; the same for all its variants and their copies.
    pub group: u32,
    /// The candidate pair of this image and its center, and the result of the comparison; `None` for [`Role::Best`].
    pub comparison: Option<(Candidate, Verification)>,
}

/// The role of an image in its group; [`Role::Best`] and [`Role::Variant`] are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The best image of its group, which may have no other member. Kept.
    Best,
    /// A copy of a better image, its center. Not kept.
    Copy,
    /// A variant of the best image. Kept.
    Variant,
    /// A variant of the best image beyond [`GroupOptions::max_variants`]. Not kept.
    VariantOverCap,
}

/// Groups images into stars around the best copies; returns one [`Member`] per image, in the order of `qualities`.
///
/// `qualities[i]` belongs to image `i`; their `position` fields must differ. `verify(center, other, candidate)`
/// compares the pixels of a candidate pair. It may be called from many threads and must be a pure function.
///
/// # Errors
/// An error of `verify` ends the grouping and is returned.
pub fn group<E: Send>(
    qualities: &[CopyQuality],
    candidates: &[Candidate],
    options: GroupOptions,
    verify: impl Fn(u32, u32, &Candidate) -> Result<Verification, E> + Sync,
) -> Result<Vec<Member>, E> {
    let n = qualities.len();
    let mut members: Vec<Member> = (0..n as u32)
        .map(|i| Member {
            role: Role::Best,
            center: i,
            group: i,
            comparison: None,
        })
        .collect();
    let mut neighbors: Vec<Vec<(u32, Candidate)>> = vec![Vec::new(); n];
    for c in candidates {
        neighbors[c.a as usize].push((c.b, *c));
        neighbors[c.b as usize].push((c.a, *c));
    }
    // Connected components of the candidate graph do not influence each other: one job each.
    let jobs: Vec<Vec<u32>> = connected(&neighbors);
    let settled: Result<Vec<Vec<(u32, Member)>>, E> = jobs
        .into_par_iter()
        .map(|mut set| {
            set.sort_by(|&x, &y| qualities[x as usize].order(&qualities[y as usize]));
            settle(&set, &neighbors, options, &verify)
        })
        .collect();
    for (i, member) in settled?.into_iter().flatten() {
        members[i as usize] = member;
    }
    Ok(members)
}

/// Groups the images of one connected component, `set`, which is sorted by quality, best first.
fn settle<E: Send>(
    set: &[u32],
    neighbors: &[Vec<(u32, Candidate)>],
    options: GroupOptions,
    verify: &(impl Fn(u32, u32, &Candidate) -> Result<Verification, E> + Sync),
) -> Result<Vec<(u32, Member)>, E> {
    let place: HashMap<u32, usize> = set
        .iter()
        .enumerate()
        .map(|(place, &i)| (i, place))
        .collect();
    let mut settled: Vec<Option<Member>> = vec![None; set.len()];
    for (here, &center) in set.iter().enumerate() {
        let group = match settled[here] {
            Some(Member {
                role: Role::Copy, ..
            }) => continue,
            Some(variant) => variant.group,
            None => {
                settled[here] = Some(Member {
                    role: Role::Best,
                    center,
                    group: center,
                    comparison: None,
                });
                center
            }
        };
        // Candidates of lower quality than the center that are not yet a copy of another image.
        let open: Vec<&(u32, Candidate)> = neighbors[center as usize]
            .iter()
            .filter(|(other, _)| {
                place[other] > here
                    && settled[place[other]].is_none_or(|member| member.role != Role::Copy)
            })
            .collect();
        let compared: Vec<(usize, Candidate, Verification)> = open
            .into_par_iter()
            .map(|(other, candidate)| {
                Ok((place[other], *candidate, verify(center, *other, candidate)?))
            })
            .collect::<Result<_, E>>()?;
        // A pair may have been compared both plain and mirrored: the closer result counts.
        let mut closest: HashMap<usize, (Candidate, Verification)> = HashMap::new();
        for (other, candidate, verification) in compared {
            let slot = closest.entry(other).or_insert((candidate, verification));
            if closeness(&verification) < closeness(&slot.1) {
                *slot = (candidate, verification);
            }
        }
        for (other, comparison) in closest {
            let role = match comparison.1.relation {
                Relation::Copy => Role::Copy,
                // A variant belongs to the first center that it is a variant of, and only a best image can have
                // variants.
                Relation::Variant if group == center && settled[other].is_none() => Role::Variant,
                Relation::Variant | Relation::Unrelated => continue,
            };
            settled[other] = Some(Member {
                role,
                center,
                group,
                comparison: Some(comparison),
            });
        }
    }
    let mut n_variants: HashMap<u32, u32> = HashMap::new();
    let cap = options.max_variants.unwrap_or(u32::MAX);
    for member in settled
        .iter_mut()
        .flatten()
        .filter(|member| member.role == Role::Variant)
    {
        let n = n_variants.entry(member.group).or_default();
        *n += 1;
        if *n > cap {
            member.role = Role::VariantOverCap;
        }
    }
    Ok(set
        .iter()
        .zip(settled)
        .filter_map(|(&i, member)| Some((i, member?)))
        .collect())
}

fn closeness(v: &Verification) -> (u8, f32) {
    let relation = match v.relation {
        Relation::Copy => 0,
        Relation::Variant => 1,
        Relation::Unrelated => 2,
    };
    (relation, v.worst_tile)
}

/// Returns the connected components of the candidate graph that have at least two images.
fn connected(neighbors: &[Vec<(u32, Candidate)>]) -> Vec<Vec<u32>> {
    let mut seen = vec![false; neighbors.len()];
    let mut sets = Vec::new();
    for start in 0..neighbors.len() {
        if seen[start] || neighbors[start].is_empty() {
            continue;
        }
        let mut set = vec![start as u32];
        seen[start] = true;
        let mut next = 0;
        while next < set.len() {
            for (other, _) in &neighbors[set[next] as usize] {
                if !std::mem::replace(&mut seen[*other as usize], true) {
                    set.push(*other);
                }
            }
            next += 1;
        }
        sets.push(set);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(position: u64) -> CopyQuality {
        CopyQuality {
            effective_pixels: 1000 - position,
            jpeg_quality: 90,
            chroma: 1.0,
            is_lossless: false,
            position,
        }
    }

    /// Groups images given as positions on a line: two images are copies when at most 1 apart, variants when 2 apart.
    fn run(line: &[i32], max_variants: Option<u32>) -> Vec<Member> {
        let mut pairs = Vec::new();
        for a in 0..line.len() as u32 {
            for b in a + 1..line.len() as u32 {
                pairs.push(Candidate {
                    a,
                    b,
                    distance: 3,
                    is_mirrored: false,
                });
            }
        }
        let qualities: Vec<_> = (0..line.len() as u64).map(quality).collect();
        let verify = |a: u32, b: u32, _: &Candidate| {
            let apart = (line[a as usize] - line[b as usize]).abs();
            let relation = match apart {
                0..=1 => Relation::Copy,
                2 => Relation::Variant,
                _ => Relation::Unrelated,
            };
            Ok::<_, std::convert::Infallible>(Verification {
                relation,
                worst_tile: apart as f32,
                median_tile: 0.0,
            })
        };
        group(&qualities, &pairs, GroupOptions { max_variants }, verify).unwrap()
    }

    #[test]
    fn copies_do_not_chain() {
        // Neighbors are copies of each other. 1 is a copy of 0, 2 a variant of 0, and 3 a copy of 2.
        let members = run(&[0, 1, 2, 3], None);
        let roles: Vec<Role> = members.iter().map(|m| m.role).collect();
        assert_eq!(roles, [Role::Best, Role::Copy, Role::Variant, Role::Copy]);
        assert_eq!(
            members.iter().map(|m| m.center).collect::<Vec<_>>(),
            [0, 0, 0, 2]
        );
        assert_eq!(
            members.iter().map(|m| m.group).collect::<Vec<_>>(),
            [0, 0, 0, 0]
        );
    }

    #[test]
    fn variants_are_capped_best_first() {
        let members = run(&[0, 2, -2, 50, 2], Some(1));
        let roles: Vec<Role> = members.iter().map(|m| m.role).collect();
        assert_eq!(
            roles,
            [
                Role::Best,
                Role::Variant,
                Role::VariantOverCap,
                Role::Best,
                Role::Copy
            ]
        );
        assert_eq!(members[4].center, 1);
        assert_eq!(members[3].group, 3);
    }

    #[test]
    fn order_among_inputs_does_not_matter_quality_does() {
        let line = [5, 4, 6, 100, 101, 5];
        let members = run(&line, None);
        assert!(
            members
                .iter()
                .zip(&line)
                .all(|(m, v)| (line[m.center as usize] - v).abs() <= 1)
        );
        assert_eq!(members[0].role, Role::Best);
        assert_eq!(members[5].role, Role::Copy);
    }

    #[test]
    fn flat_images_meet_only_their_equals() {
        use crate::thumb::Thumb;
        let flat = |v: u8| {
            let thumb = Thumb::new(&[v; 3], 1, 1);
            (ImageHash::new(&thumb), thumb.mean_rgb())
        };
        let images: Vec<_> = [10, 200, 10, 11, 10].into_iter().map(flat).collect();
        let found = candidates(&images, SearchOptions::default(), true).unwrap();
        let pairs: Vec<_> = found.pairs.iter().map(|c| (c.a, c.b)).collect();
        assert_eq!(pairs, [(0, 2), (0, 4)]);
    }
}
