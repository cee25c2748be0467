//! Golden suite `dataset`: zips that NVIDIA's dataset tool packed, and results of its dataset class, sampler and grid.
//!
//! A file `X.json` is accompanied by `X.safetensors`, by the zips, and by their source images in `src/`. The name of a
//! zip holds the options of packing: `out_<crop|scale|wide>_<lanczos|box><width>[x<height>]`. All is compared exactly.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dataset::{
    DatasetOptions, Filter, ImageDataset, InfiniteSampler, PackOptions, SnapshotGrid, Source,
    Transform, pack, verify,
};
use safetensors::SafeTensors;
use serde_json::Value;

use super::files::{json_files, numbers};
use super::{CaseResult, Results};

/// Runs every case of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        let suite = Suite { dir, root: &root };
        let pixels = path.with_extension("safetensors");
        let mut cases = Vec::new();
        suite.zips(&pixels, &mut cases)?;
        suite.dataset_class(&mut cases)?;
        suite.sampler(&mut cases)?;
        suite.grids(&mut cases)?;
        results.extend(cases.into_iter().map(|(case, worst)| CaseResult {
            suite: "dataset".to_owned(),
            case,
            worst,
            tolerance: 0.0,
        }));
    }
    Ok(())
}

struct Suite<'a> {
    dir: &'a Path,
    root: &'a Value,
}

type Cases = Vec<(String, f64)>;

impl Suite<'_> {
    fn section(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.root
            .get(name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    fn zip(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.zip"))
    }

    /// Checks each zip as it is, then packs its sources again and checks the result.
    fn zips(&self, pixels: &Path, cases: &mut Cases) -> Result<()> {
        let bytes =
            std::fs::read(pixels).with_context(|| format!("cannot read '{}'", pixels.display()));
        for (name, zip) in self.section("zips") {
            let file =
                SafeTensors::deserialize(bytes.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?)?;
            let expected = file.tensor(&format!("{name}.images_u8_nhwc"))?;
            cases.push((
                format!("{name}.read"),
                compare_zip(&self.zip(name), zip, expected.data())?,
            ));
            let report = verify(&Source::open(self.zip(name))?, || ())?;
            cases.push((format!("{name}.verify"), report.problems.len() as f64));
            if let Some(options) = pack_options(name) {
                let scratch = tempfile::tempdir()?;
                let out = scratch.path().join("out.zip");
                pack(&Source::open(self.dir.join("src"))?, &out, &options, || ())?;
                cases.push((
                    format!("{name}.pack"),
                    compare_zip(&out, zip, expected.data())?,
                ));
            }
        }
        Ok(())
    }

    /// Compares length, labels, order, mirroring and pixels with those of NVIDIA's dataset class.
    fn dataset_class(&self, cases: &mut Cases) -> Result<()> {
        for (name, case) in self.section("dataset_class") {
            let dataset = self.open(case).with_context(|| name.clone())?;
            let n = dataset.len();
            let list = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
            let sums = |weight: &dyn Fn(usize) -> u64| -> Result<Vec<f64>> {
                (0..n)
                    .map(|idx| {
                        let chw = dataset.image(idx)?.to_chw();
                        let sum: u64 = chw
                            .iter()
                            .enumerate()
                            .map(|(j, &v)| u64::from(v) * weight(j))
                            .sum();
                        Ok(sum as f64)
                    })
                    .collect()
            };
            let labels: Vec<f64> = (0..n)
                .flat_map(|idx| dataset.label(idx).into_owned())
                .map(f64::from)
                .collect();
            let expected_labels: Vec<f64> = case["labels"]
                .as_array()
                .context("no labels")?
                .iter()
                .map(numbers)
                .collect::<Result<Vec<_>>>()?
                .concat();
            let mut worst = mismatch(&labels, &expected_labels);
            worst += mismatch(&[dataset.label_dim() as f64], &numbers(&case["label_dim"])?);
            worst += mismatch(&[n as f64], &numbers(&case["len"])?);
            worst += mismatch(
                &list(&|i| dataset.raw_idx(i) as f64),
                &numbers(&case["raw_idx"])?,
            );
            worst += mismatch(
                &list(&|i| f64::from(u8::from(dataset.is_flipped(i)))),
                &numbers(&case["xflip"])?,
            );
            worst += mismatch(&sums(&|_| 1)?, &numbers(&case["image_sums"])?);
            worst += mismatch(
                &sums(&|j| j as u64 % 251)?,
                &numbers(&case["image_weighted"])?,
            );
            cases.push((format!("class.{name}"), worst));
        }
        Ok(())
    }

    /// Compares the order of samples; the name of a case holds the dataset size and the seed, e.g. `n16_seed0`.
    fn sampler(&self, cases: &mut Cases) -> Result<()> {
        for (name, expected) in self.section("infinite_sampler_indices") {
            let expected = numbers(expected)?;
            let arguments = name
                .strip_prefix('n')
                .and_then(|text| text.split_once("_seed"));
            let (n, seed) = arguments.with_context(|| format!("sampler '{name}'"))?;
            let sampler = InfiniteSampler::new(n.parse()?, seed.parse()?);
            let drawn: Vec<f64> = sampler.take(expected.len()).map(|i| i as f64).collect();
            cases.push((format!("sampler.{name}"), mismatch(&drawn, &expected)));
        }
        Ok(())
    }

    /// Compares the image indices in the preview grid of the dataset with the same name.
    fn grids(&self, cases: &mut Cases) -> Result<()> {
        for (name, case) in self.section("snapshot_grid") {
            let grid = SnapshotGrid::new(&self.open(&self.root["dataset_class"][name])?);
            let expected = numbers(&case["first64_dataset_indices"])?;
            let indices: Vec<f64> = grid
                .indices
                .iter()
                .take(expected.len())
                .map(|&i| i as f64)
                .collect();
            let size = [grid.columns as f64, grid.rows as f64];
            let worst =
                mismatch(&indices, &expected) + mismatch(&size, &numbers(&case["grid_size"])?);
            cases.push((format!("grid.{name}"), worst));
        }
        Ok(())
    }

    fn open(&self, case: &Value) -> Result<ImageDataset> {
        let kwargs = &case["kwargs"];
        let flag = |name: &str| kwargs[name].as_bool().unwrap_or(false);
        let options = DatasetOptions {
            use_labels: flag("use_labels"),
            max_size: kwargs["max_size"].as_u64().map(|n| n as usize),
            random_seed: kwargs["random_seed"].as_u64().unwrap_or(0) as u32,
            xflip: flag("xflip"),
        };
        let name = case["name"]
            .as_str()
            .context("a case without the name of its zip")?;
        Ok(ImageDataset::open(self.zip(name), &options)?)
    }
}

/// The number of positions at which two lists differ; lists of different lengths differ everywhere.
fn mismatch(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return found.len().max(expected.len()) as f64;
    }
    found.iter().zip(expected).filter(|(a, b)| a != b).count() as f64
}

/// The number of entries, compression methods and labels that differ, or, if none do, the largest difference of a
/// pixel.
fn compare_zip(path: &Path, expected: &Value, expected_pixels: &[u8]) -> Result<f64> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path)?)?;
    let mut names = Vec::new();
    let mut methods = Vec::new();
    for i in 0..archive.len() {
        let entry = archive.by_index(i)?;
        names.push(entry.name()?.into_owned());
        methods.push(entry.compression());
    }
    let expected_names: Vec<&str> = expected["names"]
        .as_array()
        .context("no names")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let stored = numbers(&expected["compress"])?
        .iter()
        .all(|&method| method == 0.0);
    ensure!(stored, "{}: only stored zips are written", path.display());
    let mut worst = f64::from(u8::from(names != expected_names));
    worst += methods
        .iter()
        .filter(|&&m| m != zip::CompressionMethod::Stored)
        .count() as f64;
    let json: Value = serde_json::from_reader(archive.by_name("dataset.json")?)?;
    worst += f64::from(u8::from(json != expected["dataset_json"]));
    if worst > 0.0 {
        return Ok(worst);
    }
    let dataset = ImageDataset::open(path, &DatasetOptions::default())?;
    let mut pixels = Vec::with_capacity(expected_pixels.len());
    for idx in 0..dataset.len() {
        pixels.extend(dataset.image(idx)?.pixels);
    }
    if pixels.len() != expected_pixels.len() {
        return Ok(pixels.len().abs_diff(expected_pixels.len()) as f64);
    }
    let differences = pixels
        .iter()
        .zip(expected_pixels)
        .map(|(a, b)| a.abs_diff(*b));
    Ok(f64::from(differences.max().unwrap_or(0)))
}

/// The options of packing in a name like `out_wide_lanczos32x24`; `None` for other names.
fn pack_options(name: &str) -> Option<PackOptions> {
    let (transform, filter_size) = name.strip_prefix("out_")?.split_once('_')?;
    let digits = filter_size.find(|c: char| c.is_ascii_digit())?;
    let (filter, size) = filter_size.split_at(digits);
    let (width, height) = size.split_once('x').unwrap_or((size, size));
    Some(PackOptions {
        transform: match transform {
            "scale" => Transform::Scale,
            "crop" => Transform::CenterCrop,
            "wide" => Transform::CenterCropWide,
            _ => return None,
        },
        filter: match filter {
            "lanczos" => Filter::Lanczos,
            "box" => Filter::Box,
            _ => return None,
        },
        size: Some((width.parse().ok()?, height.parse().ok()?)),
        ..Default::default()
    })
}
