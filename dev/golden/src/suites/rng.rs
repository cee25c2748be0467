//! Golden suite `rng`: vectors that numpy's legacy `RandomState` generated.
//!
//! A file holds `vectors: {"seed85": {"randint10": [...], ...}}`. The key of a vector names the call, and its length is
//! the count. Every vector starts with a new generator; those named `_after` first draw five uniform numbers.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rng::RandomState;
use serde_json::Value;

use super::files::{json_files, numbers};
use super::{CaseResult, Results};

/// The length of the `randn` vectors, as long as the latent that `generate` draws for one seed.
const Z_DIM: usize = 512;

/// The tolerance of sums, which may be added in another order.
const SUM_TOLERANCE: f64 = 1e-9;

/// Runs every vector of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        let Some(vectors) = root.get("vectors").and_then(Value::as_object) else {
            continue;
        };
        for (seed_name, cases) in vectors {
            let seed = seed_name.strip_prefix("seed").and_then(|s| s.parse().ok());
            let seed: u32 =
                seed.with_context(|| format!("{}: '{seed_name}' is no seed", path.display()))?;
            let cases = cases.as_object().context("a seed without vectors")?;
            for (name, expected) in cases {
                let expected = numbers(expected)?;
                let drawn = draw(name, seed, expected.len())
                    .with_context(|| format!("{}: {seed_name}.{name}", path.display()))?;
                ensure!(
                    drawn.len() == expected.len(),
                    "{name}: {} numbers",
                    drawn.len()
                );
                let worst = drawn
                    .iter()
                    .zip(&expected)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f64::max);
                results.push(CaseResult {
                    suite: "rng".to_owned(),
                    case: format!("{seed_name}.{name}"),
                    worst,
                    tolerance: if name.ends_with("_sum") {
                        SUM_TOLERANCE
                    } else {
                        0.0
                    },
                });
            }
        }
    }
    Ok(())
}

fn draw(name: &str, seed: u32, n: usize) -> Result<Vec<f64>> {
    let mut random = RandomState::new(seed);
    let split = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    let (call, arguments) = name.split_at(split);
    let argument = |text: &str| text.parse::<usize>().context("no number in its name");
    let positions = |order: Vec<usize>| order.into_iter().map(|i| i as f64).collect();
    Ok(match (call, arguments.split_once('_')) {
        ("randn_first", _) => random.randn(argument(arguments)?),
        ("randn_last", _) => random.randn(Z_DIM).split_off(Z_DIM - argument(arguments)?),
        ("randn_sum", _) => vec![random.randn(Z_DIM).iter().sum()],
        ("rand", None) => random.rand(argument(arguments)?),
        ("randint", None) => (0..n)
            .map(|_| Ok(random.randint(0, argument(arguments)? as i64) as f64))
            .collect::<Result<_>>()?,
        ("randint", Some((high, "after"))) => {
            random.rand(5);
            (0..n)
                .map(|_| Ok(random.randint(0, argument(high)? as i64) as f64))
                .collect::<Result<_>>()?
        }
        ("shuffle", None) => {
            let mut order: Vec<usize> = (0..argument(arguments)?).collect();
            random.shuffle(&mut order);
            positions(order)
        }
        ("choice", Some((from, count))) => {
            let count = count
                .strip_suffix("_noreplace")
                .context("only without replacement")?;
            positions(random.choice(argument(from)?, argument(count)?))
        }
        _ => bail!("unknown kind of vector"),
    })
}
